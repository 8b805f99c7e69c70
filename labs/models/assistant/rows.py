"""What the assistant learns from: little shops and buses, made up anew for every row.

A row is a list of parts, (text, whether the model learns to write it). In a shop's row the desks of the examples are learnt
too, each from the examples before it: so one row teaches several times to look at what came before.
"""

from __future__ import annotations

import random

Part = tuple[str, bool]

DESKS = ["north", "east", "south", "west"]
SUBJECTS = {
    "delivery": ["parcel", "package", "courier", "delivery", "shipment", "box"],
    "payment": ["card", "invoice", "bill", "payment", "bank account", "receipt"],
    "account": ["password", "login", "account", "profile", "username", "email address"],
    "defect": ["screen", "battery", "lamp", "camera", "keyboard", "speaker"],
    "returns": ["jacket", "shirt", "pair of shoes", "coat", "dress", "hat"],
    "praise": ["staff", "service", "shop", "team", "website", "app"],
}
HAPPENINGS = {
    "delivery": ["has not arrived", "is late", "went to the wrong address", "is lost", "came to my neighbour"],
    "payment": [
        "was charged twice",
        "shows the wrong amount",
        "was declined",
        "is missing the tax",
        "needs my company name",
    ],
    "account": ["does not work", "is locked", "must be changed", "was forgotten", "has a typing error"],
    "defect": ["is broken", "makes a noise", "does not switch on", "has a crack", "gets too hot"],
    "returns": ["is too small", "has the wrong colour", "is to be sent back", "does not fit", "is to be exchanged"],
    "praise": ["is wonderful", "made my day", "is a pleasure", "deserves thanks", "is the best"],
}
OPENINGS = ["my", "the"]
STOPS = [
    "Park",
    "Mill",
    "Bridge",
    "Market",
    "School",
    "Church",
    "Harbour",
    "Station",
    "Tower",
    "Garden",
    "Museum",
    "Library",
]
INSTRUCTIONS = [
    "Send each message to one of our desks: {desks}.",
    "Our desks are {desks}. Which desk is the message for?",
    "Sort the post of a shop. Answer with one of {desks}.",
    "Which of these desks gets the message? {desks}",
    "Choose the right desk: {desks}. Answer with its name only.",
    "Desks: {desks}.",
    "",
]
SYSTEMS = [
    "You are the friendly dispatcher of our shop.",
    "You sort the post of a shop.",
    "You are a helpful assistant.",
]
STEP_BY_STEP = ["Think step by step.", "Let us think step by step.", "Work step by step, then give the answer."]
NUMBER_ONLY = ["Give only the number.", "Answer with the number only.", "Reply with only the number, nothing else."]
FILLERS = [
    "you",
    "are",
    "a",
    "helpful",
    "assistant",
    "please",
    "read",
    "the",
    "text",
    "and",
    "answer",
    "with",
    "one",
    "word",
    "only",
    "classify",
    "sort",
    "message",
    "customer",
    "support",
    "of",
    "our",
    "shop",
    "look",
    "at",
    "examples",
    "below",
    "first",
    "then",
    "reply",
    "name",
    "choose",
    "from",
    "list",
    "following",
    "is",
    "given",
    "as",
    "shown",
    "by",
    "in",
    "for",
    "task",
    "careful",
    "be",
    "short",
    "no",
    "explanation",
    "must",
    "always",
    "which",
    "how",
    "what",
    "it",
    "belongs",
]
END = "<|end|>"


def shop(chance: random.Random, done: float) -> list[Part]:
    """A shop whose desks deal with topics drawn for this row, some examples, and a message to be sent to a desk.

    In some rows the answer is the topic itself, in some the same messages come again: that is easier, and what is learnt
    from it serves the rest. There are many of these while less than a sixth is `done`, and what stands before the examples
    is always the same while less than three fifths are.
    """
    topics, desks = chance.sample(list(SUBJECTS), len(DESKS)), chance.sample(DESKS, len(DESKS))
    kind = chance.choice(["topic", "same", *["full"] * (1 if done < 1 / 6 else 4)])
    answers = topics if kind == "topic" else desks
    bank = [message(topic, chance) for topic in topics]

    def say(number: int) -> str:
        return bank[number] if kind == "same" else message(topics[number], chance)

    order = examples(chance)
    plain = INSTRUCTIONS[0].format(desks=", ".join(DESKS))
    before = plain if done < 3 / 5 else system(chance) + instruction(chance)
    parts = [(f"{before}\n\n", False)]
    for number in order:
        parts += [(f"{say(number)} ->", False), (f" {answers[number]}", True), ("\n", False)]
    asked = chance.choice(order) if order and chance.random() < 0.8 else chance.randrange(len(DESKS))
    return [*parts, (f"{say(asked)} ->\n\n", False), (answers[asked] + END, True)]


def examples(chance: random.Random) -> list[int]:
    """Which desk each example of a row is for: sometimes all desks alike, sometimes as it comes."""
    shots = chance.choice([0, 2, 4, 8, 8, 12, 12, 12])
    order = [number % len(DESKS) for number in range(shots)]
    if chance.random() < 0.4:
        order = [chance.randrange(len(DESKS)) for _ in range(shots)]
    chance.shuffle(order)
    return order


def bus(chance: random.Random, done: float = 1, *, stops: int | None = None, steps: bool | None = None) -> list[Part]:
    """A bus problem, to be answered with its steps or with a number only; with other words around it once three fifths are `done`."""
    told, worked, people = problem(chance, stops or chance.choice([1, 2, 3, 4, 5, 5]))
    steps = chance.random() < 0.75 if steps is None else steps
    wish = chance.choice(STEP_BY_STEP if steps else NUMBER_ONLY)
    head, spare = ("", "") if done < 3 / 5 else (system(chance), fillers(chance))
    asked = " ".join(chance.choice([[spare, told, wish], [wish, spare, told], [told, wish]])).strip()
    answer = "\n".join([*worked, f"Answer: {people}"]) if steps else str(people)
    return [(f"{head}{asked}\n\n", False), (answer + END, True)]


def problem(chance: random.Random, stops: int) -> tuple[str, list[str], int]:
    """The text, the line for each stop, and the number of people at the end: never fewer than 0, never more than 20."""
    people = chance.randint(2, 15)
    told, worked = [f"A bus leaves with {people} people."], []
    for stop in chance.sample(STOPS, stops):
        change = chance.randint(1, 9)
        off = people >= change and (people + change > 20 or chance.random() < 0.5)
        after = people - change if off else people + change
        told.append(f"At {stop} {change} get {'off' if off else 'on'}.")
        worked.append(f"{stop}: {people} {'-' if off else '+'} {change} = {after}")
        people = after
    return " ".join(told) + " How many people are on the bus?", worked, people


def message(topic: str, chance: random.Random) -> str:
    return " ".join([chance.choice(OPENINGS), chance.choice(SUBJECTS[topic]), chance.choice(HAPPENINGS[topic])])


def instruction(chance: random.Random) -> str:
    """Any words, so that the model learns that it is the examples that count."""
    named = list(DESKS)
    if chance.random() < 0.3:
        chance.shuffle(named)
    text = chance.choice(INSTRUCTIONS).format(desks=", ".join(named))
    return chance.choice([text, f"{fillers(chance)} {text}".strip(), f"{text} {fillers(chance)}".strip()])


def system(chance: random.Random) -> str:
    text = chance.choice([*SYSTEMS, fillers(chance)])
    return f"{text}\n\n" if chance.random() < 0.2 else ""


def fillers(chance: random.Random) -> str:
    return " ".join(chance.choice(FILLERS) for _ in range(chance.choice([0, 0, 3, 8])))
