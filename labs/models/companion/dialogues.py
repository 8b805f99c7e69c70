"""Conversations made up by a small grammar, in which later answers depend on what was said before: a name, a town, a colour.

Names and towns are put together from two syllables; the model has to look them up in the conversation, and some are kept for tests.
"""

from __future__ import annotations

import random

Message = dict[str, str]


def _words(text: str) -> list[str]:
    return text.split()


COLOURS = ["green", "blue", "red", "yellow", "grey", "white", "black", "silver", "orange", "pink", "purple", "brown"]
NAMES = _words(
    "Ada Bruno Clara David Emma Frank Greta Hugo Julia Jonas Karen Leo Martin Olga Peter Rosa Simon Tara Victor Yusuf"
)
OWN_NAMES = _words("Juno Pixel Robin Atlas Echo Nova Felix Iris Orion Luna Max Sunny")
STARTS = _words("Ba Be Da Do Fa Fe Ga Ge Ha He Ja Ka Ko La Lu Ma Mi Na Ne Pa Pe Ra Ro Sa Se Ta Ti Va Ve Ya Yo Za Zo")
ENDS = _words("den mar vik sund ger dan mo ster pol bo gul dik kas vin bert wig sto pan zig fan")
TOWN_STARTS = _words("Ald Ber Cam Dun Els Fre Gra Hol Ing Kar Lin Mor Nor Old Ros Sel Thor Ulm Wes Wol")
TOWN_ENDS = _words("burg stad ville ford wick haven mund heim gard brook")

TELL = {
    "name": ["My name is {}.", "I am {}.", "Call me {}.", "Hello, I am {}.", "Hi, my name is {}."],
    "town": ["I live in {}.", "My home is in {}.", "I live in {} now."],
    "colour": ["My favourite colour is {}.", "I like {} best.", "The colour I love is {}."],
}
CORRECT = {
    "name": ["Sorry, my name is {}.", "No, I am {}.", "Actually, call me {}."],
    "town": ["Actually, I live in {}.", "No, I live in {}."],
    "colour": ["No, my favourite colour is {}.", "Actually, I like {} best."],
}
REPLY = {"name": "Hello {}.", "town": "I would like to see {}.", "colour": "A nice colour, {}."}
ASK = {
    "name": ["What is my name?", "Do you know my name?", "Who am I?"],
    "town": ["Where do I live?", "Which town do I live in?"],
    "colour": ["What is my favourite colour?", "Which colour do I like?"],
}
KNOWN = {"name": "Your name is {}.", "town": "You live in {}.", "colour": "Your favourite colour is {}."}
UNKNOWN = {
    "name": "You have not told me your name.",
    "town": "You have not told me where you live.",
    "colour": "You have not told me your favourite colour.",
}
SMALL_TALK = {
    "How are you?": "I am fine, thank you.",
    "Tell me a joke.": "Why do bees hum? They forgot the words.",
    "Thank you.": "You are welcome.",
    "Good morning.": "Good morning to you.",
    "It is raining.": "Then let us stay inside.",
    "What can you do?": "I remember what you tell me.",
    "I am tired.": "Then have a rest.",
    "Goodbye.": "See you soon.",
    "I like music.": "So do I.",
    "What day is it?": "I have no calendar.",
}
WHO = ["Who are you?", "What is your name?", "What are you called?"]
PUZZLED = "I do not understand that."


def dialogue(rng: random.Random, exchanges: int, *, held_out: bool = False) -> list[Message]:
    """A system message and `exchanges` questions with their answers."""
    own, known = rng.choice(OWN_NAMES), {}
    messages = [{"role": "system", "content": f"You are {own}, a friendly companion."}]
    for _ in range(exchanges):
        said, answer = _exchange(rng, own, known, held_out)
        messages += [{"role": "user", "content": said}, {"role": "assistant", "content": answer}]
    return messages


def told_apart(rng: random.Random) -> list[Message]:
    """A conversation with new names in which a name is asked for after a town was told, and corrected or not."""
    own, person, place = rng.choice(OWN_NAMES), name(rng, held_out=True), town(rng, held_out=True)
    said = [(f"My name is {person}.", f"Hello {person}."), ("How are you?", SMALL_TALK["How are you?"])]
    said += [(f"I live in {place}.", f"I would like to see {place}."), ("It is raining.", SMALL_TALK["It is raining."])]
    if rng.random() < 0.5:
        person = name(rng, held_out=True)
        said += [(f"Sorry, my name is {person}.", f"Hello {person}.")]
    said += [("What is my name?", f"Your name is {person}.")]
    messages = [{"role": "system", "content": f"You are {own}, a friendly companion."}]
    for text, answer in said:
        messages += [{"role": "user", "content": text}, {"role": "assistant", "content": answer}]
    return messages


def name(rng: random.Random, *, held_out: bool = False) -> str:
    """A person's name of two syllables, such as Kovik; now and then one that exists. `held_out` gives only names kept for tests."""
    if not held_out and rng.random() < 0.15:
        return rng.choice(NAMES)
    return _joined(rng, STARTS, ENDS, held_out=held_out)


def town(rng: random.Random, *, held_out: bool = False) -> str:
    """A town's name, such as Norburg. No name of a person begins like one: the model tells them apart by that."""
    return _joined(rng, TOWN_STARTS, TOWN_ENDS, held_out=held_out)


def _joined(rng: random.Random, starts: list[str], ends: list[str], *, held_out: bool) -> str:
    """Two syllables. Every fifth pair is kept for tests: training never shows it."""
    while True:
        start, end = rng.randrange(len(starts)), rng.randrange(len(ends))
        if ((start + end) % 5 == 0) == held_out:
            return starts[start] + ends[end]


def _exchange(rng: random.Random, own: str, known: dict[str, str], held_out: bool) -> tuple[str, str]:
    """What is said and answered next; `known` is brought up to date."""
    chance, fact = rng.random(), rng.choice(list(TELL))
    if chance < 0.3:
        said = rng.choice(CORRECT[fact] if fact in known else TELL[fact])
        known[fact] = _news(rng, fact, held_out)
        return said.format(known[fact]), REPLY[fact].format(known[fact])
    if chance < 0.7:
        answer = KNOWN[fact].format(known[fact]) if fact in known else UNKNOWN[fact]
        return rng.choice(ASK[fact]), answer
    if chance < 0.78:
        return rng.choice(WHO), f"I am {own}."
    if chance < 0.95:
        return rng.choice(list(SMALL_TALK.items()))
    return " ".join(name(rng).lower() for _ in range(rng.randint(1, 6))), PUZZLED


def _news(rng: random.Random, fact: str, held_out: bool) -> str:
    if fact == "colour":
        return rng.choice(COLOURS)
    return (name if fact == "name" else town)(rng, held_out=held_out)
