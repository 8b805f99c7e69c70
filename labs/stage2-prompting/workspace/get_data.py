"""Writes the data of your session: messages with their desks, bus problems, and a colleague's proposal for a prompt.

labctl exec stage2-prompting -- python get_data.py

Given. Your shop has four desks, and which desk does what is different in every session: nobody else's answers fit yours.
Running it again writes the same files.

    data/pool.jsonl       24 messages with the desk that dealt with them: examples come from here
    data/test.jsonl       24 more, to measure with
    data/problems.jsonl   16 bus problems with their answers
    incoming/v3.yaml      what a colleague proposes (step 6)
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import yaml

Row = dict[str, Any]

DESKS = ["north", "east", "south", "west"]
STOPS = "Park Mill Bridge Market School Church Harbour Station Tower Garden Museum Library".split()
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
    "payment": ["was charged twice", "shows the wrong amount", "was declined", "is missing the tax", "needs my company name"],
    "account": ["does not work", "is locked", "must be changed", "was forgotten", "has a typing error"],
    "defect": ["is broken", "makes a noise", "does not switch on", "has a crack", "gets too hot"],
    "returns": ["is too small", "has the wrong colour", "is to be sent back", "does not fit", "is to be exchanged"],
    "praise": ["is wonderful", "made my day", "is a pleasure", "deserves thanks", "is the best"],
}
OPENINGS = ["my", "the"]
ROWS_PER_DESK = 6
REPEATED = 3
"""How many messages of the test set are in the pool too, as it happens when people write to two addresses."""


def desks_of(session: str) -> dict[str, str]:
    """Each desk of the session's shop, and the topic it deals with."""
    chance = random.Random(f"{session}/desks")
    return dict(zip(DESKS, chance.sample(list(SUBJECTS), len(DESKS)), strict=True))


def messages(desks: dict[str, str], chance: random.Random, per_desk: int, without: set[str]) -> list[Row]:
    """`per_desk` different messages for each desk, in random order, none of them in `without`, to which they are added."""
    rows = []
    for desk, topic in desks.items():
        while sum(row["desk"] == desk for row in rows) < per_desk:
            words = chance.choice(OPENINGS), chance.choice(SUBJECTS[topic]), chance.choice(HAPPENINGS[topic])
            text = " ".join(words)
            if text not in without:
                without.add(text)
                rows.append({"message": text, "desk": desk})
    chance.shuffle(rows)
    return rows


def problem(chance: random.Random, stops: int = 5) -> Row:
    """A bus problem: never fewer than 0 people, never more than 20."""
    people = chance.randint(2, 15)
    told = [f"A bus leaves with {people} people."]
    for stop in chance.sample(STOPS, stops):
        change = chance.randint(1, 9)
        if people >= change and (people + change > 20 or chance.random() < 0.5):
            people -= change
            told.append(f"At {stop} {change} get off.")
        else:
            people += change
            told.append(f"At {stop} {change} get on.")
    return {"question": " ".join(told) + " How many people are on the bus?", "answer": people}


def problems(chance: random.Random, count: int) -> list[Row]:
    return [problem(chance) for _ in range(count)]


def make(session: str) -> dict[str, Any]:
    """All files of a session: path to rows, or to the text of a YAML file."""
    chance, desks, used = random.Random(f"{session}/data"), desks_of(session), set[str]()
    pool = messages(desks, chance, ROWS_PER_DESK, used)
    test = messages(desks, chance, ROWS_PER_DESK, used)
    for place, row in zip(chance.sample(range(len(pool)), REPEATED), test, strict=False):
        pool[place] = {**row, "message": row["message"].capitalize()}
    chance.shuffle(test)
    return {
        "data/pool.jsonl": [{"id": f"p{number:02}", **row} for number, row in enumerate(pool, start=1)],
        "data/test.jsonl": [{"id": f"t{number:02}", **row} for number, row in enumerate(test, start=1)],
        "data/problems.jsonl": [
            {"id": f"b{number:02}", **row} for number, row in enumerate(problems(chance, 16), start=1)
        ],
        "incoming/v3.yaml": proposal(desks, chance, used),
    }


def proposal(desks: dict[str, str], chance: random.Random, used: set[str]) -> Row:
    """The colleague's v3: good words and fresh examples, two desks of which bear the names from before the move."""
    one, other = chance.sample(sorted(desks), 2)
    before = {one: other, other: one}
    fresh = messages(desks, chance, 1, used)
    return {
        "description": "v3 by Kim: friendlier, and shorter: one fresh example a desk from last month's list",
        "model": "router",
        "system": "You are the friendly dispatcher of our shop.",
        "template": (
            "Send each message to one of our desks: {{ desks | join(', ') }}.\n\n"
            "{% for example in examples %}{{ example.message }} -> {{ example.desk }}\n{% endfor %}"
            "{{ message }} ->"
        ),
        "examples": [{**row, "desk": before.get(row["desk"], row["desk"])} for row in fresh],
        "max_tokens": 8,
    }


def topic_of(message: str) -> str:
    """What a message is about."""
    return next(topic for topic, happenings in HAPPENINGS.items() if any(message.endswith(h) for h in happenings))


def main() -> None:
    for path, content in make(os.environ["LABCTL_SESSION"]).items():
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        if path.endswith(".jsonl"):
            file.write_text("".join(json.dumps(row) + "\n" for row in content))
        else:
            file.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
