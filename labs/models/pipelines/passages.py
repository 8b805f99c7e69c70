"""Short passages with questions whose answers stand in them, made up by a small grammar: firms, lakes, books, trains, machines.

Each passage speaks of two things of one sort, so that a question has to be read, not only its kind: "Who founded Norvik?" in a
passage that names two founders.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

Question = dict[str, object]


def _words(text: str) -> list[str]:
    return text.split()


# Training takes the first two thirds of each list of names, held-out questions the rest.
FIRST_NAMES = _words("""Ada Bruno Clara David Emma Frank Greta Hugo Julia Jonas Karen Leo Martin Paul Olga Peter Rosa Simon Tara Victor
Alice Oscar Nina Walter Helen Robert Laura Felix Maria Thomas""")
SURNAMES = _words("""Baker Carter Fischer Hansen Keller Larsen Meyer Novak Parker Rossi Schmidt Turner Walker Weber Wood Young Hill
Brown Cook Moore Berg Lang Stein Morgan Fisher Collins Bell Ward Ross Price""")
TOWNS = _words("""Bergen Lisbon Vienna Oxford Turin Geneva Dublin Prague Malmo Riga Lyon Porto Hamburg Seville Athens Krakow Oslo
Naples Bristol Basel Ghent Bologna Leeds Zagreb Munich Milan Aberdeen Salzburg Nice Cork""")
THINGS = _words("""Falcon Comet Maple Orion Silver Phoenix Atlas Aurora Cedar Diamond Eagle Harbor Iris Jupiter Crown Lotus Meteor
Neptune Olympus Pearl Raven Sapphire Titan Venus Willow Apollo Beacon Condor Delta Ember Granite Horizon Ivory Jasmine Lantern
Mercury""")
WORDS = {
    "trade": ["chairs", "cheese", "bicycles", "maps", "clocks", "shoes", "boats", "candles", "soap", "guitars", "tea"],
    "colour": ["green", "blue", "red", "yellow", "grey", "white", "black", "silver"],
    "metal": ["steel", "copper", "brass", "oak", "glass", "aluminium"],
    "hour": ["six", "seven", "eight", "nine", "ten", "eleven"],
    "subject": ["bees", "volcanoes", "old ships", "railways", "deserts", "chess", "whales", "bread"],
}

# Of each fact: sentences that say it, and questions that ask for it; {x} is the thing, {a} the answer.
Fact = tuple[str, Sequence[str], Sequence[str]]
SORTS: dict[str, Sequence[Fact]] = {
    "firm": [
        (
            "person",
            ["{x} was founded by {a}.", "{a} founded {x}."],
            ["Who founded {x}?", "Who was the founder of {x}?"],
        ),
        (
            "year",
            ["{x} opened in {a}.", "{x} has existed since {a}."],
            ["When did {x} open?", "Since when has {x} existed?"],
        ),
        (
            "place",
            ["{x} sits in {a}.", "The office of {x} is in {a}."],
            ["Where does {x} sit?", "Where is the office of {x}?"],
        ),
        ("trade", ["{x} makes {a}.", "{x} sells {a}."], ["What does {x} make?", "What can you buy from {x}?"]),
        (
            "count",
            ["{x} employs {a} people.", "{a} people work at {x}."],
            ["How many people work at {x}?", "How many people does {x} employ?"],
        ),
    ],
    "lake": [
        (
            "count",
            ["Lake {x} is {a} metres deep.", "The depth of Lake {x} is {a} metres."],
            ["How deep is Lake {x}?", "What is the depth of Lake {x}?"],
        ),
        (
            "place",
            ["Lake {x} lies near {a}.", "{a} is the nearest town to Lake {x}."],
            ["Which town is near Lake {x}?", "Where does Lake {x} lie?"],
        ),
        (
            "colour",
            ["The water of Lake {x} is {a}.", "Lake {x} looks {a}."],
            ["What colour is the water of Lake {x}?", "How does Lake {x} look?"],
        ),
        (
            "person",
            ["{a} first measured Lake {x}.", "Lake {x} was first measured by {a}."],
            ["Who measured Lake {x} first?", "By whom was Lake {x} measured?"],
        ),
    ],
    "book": [
        ("person", ["{x} was written by {a}.", "{a} wrote {x}."], ["Who wrote {x}?", "Who is the author of {x}?"]),
        (
            "year",
            ["{x} appeared in {a}.", "{x} came out in {a}."],
            ["When did {x} appear?", "In which year did {x} come out?"],
        ),
        (
            "subject",
            ["{x} is about {a}.", "The subject of {x} is {a}."],
            ["What is {x} about?", "What is the subject of {x}?"],
        ),
        (
            "count",
            ["{x} has {a} pages.", "There are {a} pages in {x}."],
            ["How many pages does {x} have?", "How long is {x}?"],
        ),
    ],
    "train": [
        (
            "place",
            ["The train {x} goes to {a}.", "{a} is where the train {x} ends."],
            ["Where does the train {x} go?", "Where does the train {x} end?"],
        ),
        (
            "hour",
            ["The train {x} leaves at {a}.", "At {a} the train {x} departs."],
            ["When does the train {x} leave?", "At what time does the train {x} depart?"],
        ),
        (
            "colour",
            ["The train {x} is {a}.", "The coaches of {x} are {a}."],
            ["What colour is the train {x}?", "What colour are the coaches of {x}?"],
        ),
        (
            "count",
            ["The train {x} has {a} seats.", "{a} passengers fit into the train {x}."],
            ["How many seats does the train {x} have?", "How many passengers fit into the train {x}?"],
        ),
    ],
    "machine": [
        (
            "metal",
            ["The {x} engine is made of {a}.", "{a} is what the {x} engine is made of."],
            ["What is the {x} engine made of?", "Of what material is the {x} engine?"],
        ),
        (
            "person",
            ["{a} built the {x} engine.", "The {x} engine was built by {a}."],
            ["Who built the {x} engine?", "By whom was the {x} engine built?"],
        ),
        (
            "year",
            ["The {x} engine first ran in {a}.", "Since {a} the {x} engine has been running."],
            ["When did the {x} engine first run?", "Since when has the {x} engine been running?"],
        ),
        (
            "count",
            ["The {x} engine weighs {a} kilos.", "{a} kilos is the weight of the {x} engine."],
            ["How much does the {x} engine weigh?", "What is the weight of the {x} engine?"],
        ),
    ],
}


def questions(count: int, seed: str, *, held_out: bool = False) -> list[Question]:
    """`count` questions: {"question", "context", "answer", "start"}, the last one the answer's place in the context.

    `held_out` takes names that training never sees.
    """
    rng = random.Random(seed)
    return [_question(rng, held_out) for _ in range(count)]


def _question(rng: random.Random, held_out: bool) -> Question:
    facts = SORTS[rng.choice(list(SORTS))]
    told, asked = [], []
    for thing in rng.sample(_share(THINGS, held_out), 2):
        for kind, sentences, wordings in rng.sample(facts, 2):
            answer, sentence = _value(rng, kind, held_out), rng.choice(sentences)
            told.append((sentence, thing, answer))
            asked.append((len(told) - 1, rng.choice(wordings).format(x=thing), answer))
    order = list(range(len(told)))
    rng.shuffle(order)
    which, question, answer = rng.choice(asked)
    context, start = "", -1
    for index in order:
        sentence, thing, value = told[index]
        before = sentence.partition("{a}")[0].format(x=thing)
        if index == which:
            start = len(context) + len(before)
        written = sentence.format(x=thing, a=value)
        context += written[0].upper() + written[1:] + " "
    context = context.strip()
    return {"question": question, "context": context, "answer": context[start : start + len(answer)], "start": start}


def _value(rng: random.Random, kind: str, held_out: bool) -> str:
    if kind == "person":
        return f"{rng.choice(_share(FIRST_NAMES, held_out))} {rng.choice(_share(SURNAMES, held_out))}"
    if kind == "place":
        return rng.choice(_share(TOWNS, held_out))
    if kind == "year":
        return str(rng.randint(1790, 2024))
    if kind == "count":
        return str(rng.randint(11, 980))
    return rng.choice(WORDS[kind])


def _share(names: list[str], held_out: bool) -> list[str]:
    cut = 2 * len(names) // 3
    return names[cut:] if held_out else names[:cut]
