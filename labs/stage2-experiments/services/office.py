"""The support team's side of the lab: the tickets, what is new about them in this session, and a colleague's settings.

Everything that differs from learner to learner is drawn from the session's name, so that the checks can draw it again.

    python office.py FOLDER     writes tickets.csv and heldout.csv, as they lie in the starter's data/
"""

from __future__ import annotations

import csv
import io
import random
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, str]
"""A ticket: id, text, team."""

COLUMNS = ("id", "text", "team")
OPENINGS = (
    "",
    "",
    "hello, ",
    "hi team, ",
    "please help: ",
    "again: ",
    "urgent! ",
    "good morning, ",
    "sorry to ask, but ",
)
CLOSINGS = ("", "", "", " thanks", " please hurry", " what now?", " this is the second time i write", " can you look?")
THINGS = ("phone", "laptop", "headphones", "watch", "camera", "printer", "tablet", "keyboard", "speaker", "router")
PHRASES = {
    "billing": (
        "my card was billed twice for the {thing}",
        "the invoice of the {thing} shows the wrong amount",
        "i want my money back for the {thing}",
        "the discount on the {thing} was not taken off",
        "when is the refund of the {thing} paid?",
        "you charged me for a {thing} that i never ordered",
        "the payment for the {thing} failed, yet the money is gone",
        "i need a receipt with our tax number for the {thing}",
        "why is the price of the {thing} higher on the bill?",
    ),
    "shipping": (
        "where is my order of the {thing}",
        "the {thing} has not arrived after two weeks",
        "the parcel with the {thing} came to the wrong address",
        "the tracking of the {thing} does not move any more",
        "the courier left the {thing} in the rain",
        "can the {thing} be delivered on saturday?",
        "the box was open and the {thing} was not in it",
        "i ordered two and only one {thing} came",
        "please change the address for the order of the {thing}",
    ),
    "account": (
        "i cannot sign in since i ordered the {thing}",
        "the reset mail for my password does not come",
        "please delete my account and the data about the {thing}",
        "my user name is wrong on the page of the {thing}",
        "the code for signing in arrives too late",
        "someone else ordered a {thing} with my account",
        "how do i change the mail address of my account?",
        "my account was locked when i paid for the {thing}",
        "the app forgets my address and my {thing} at each start",
    ),
    "fault": (
        "the {thing} does not start any more",
        "the {thing} gets hot and stops after an hour",
        "the screen of the {thing} stays black",
        "after the update the {thing} forgets everything",
        "the {thing} does not connect to the app",
        "the {thing} makes a strange noise",
        "the battery of the {thing} is empty in an hour",
        "a button of the {thing} is stuck",
        "the {thing} arrived and does not work",
    ),
    "sales": (
        "is the {thing} in stock again soon?",
        "which {thing} is the right one for two people?",
        "do you give a discount on ten pieces of the {thing}?",
        "does the {thing} work with an old laptop?",
        "how long is the warranty of the {thing}?",
        "can i pay for the {thing} in two parts?",
        "is there a {thing} in another colour?",
        "what is the difference between the {thing} and the older one?",
        "can i try the {thing} before i buy it?",
    ),
}
TEAMS = tuple(PHRASES)
KNOWN = slice(6)
"""The phrases of the first tickets; the others came up later."""


def draw(rng: random.Random, count: int, first_id: int, phrases: slice = slice(None)) -> list[Row]:
    """`count` tickets with their right teams."""
    return [_ticket(rng, first_id + n, phrases) for n in range(count)]


def _ticket(rng: random.Random, number: int, phrases: slice) -> Row:
    team = rng.choice(TEAMS)
    phrase = rng.choice(PHRASES[team][phrases]).format(thing=rng.choice(THINGS))
    return {"id": str(number), "text": f"{rng.choice(OPENINGS)}{phrase}{rng.choice(CLOSINGS)}", "team": team}


def first_version() -> tuple[list[Row], dict[str, str]]:
    """The tickets that everyone begins with, the same for all, and the right teams of those that are labelled wrongly."""
    rng = random.Random(20260302)
    rows = draw(rng, 700, 1, KNOWN)
    right: dict[str, str] = {}
    for row in rows:
        if rng.random() < 0.15:
            right[row["id"]] = row["team"]
            row["team"] = rng.choice([team for team in TEAMS if team != row["team"]])
    repeated = [{**_shaken(rng, rng.choice(rows)), "id": str(701 + n)} for n in range(60)]
    return rows + repeated, right


def _shaken(rng: random.Random, row: Row) -> Row:
    """The same ticket, sent a second time: other capitals, other spaces."""
    text = row["text"]
    return {**row, "text": rng.choice([text, text.upper(), text.capitalize(), text.replace(" ", "  "), f" {text} "])}


def heldout() -> list[Row]:
    """Clean tickets to measure with, the same for all, none of which is in the first version."""
    rng, known = random.Random(77), {same(row["text"]) for row in first_version()[0]}
    return [row for row in draw(rng, 300, 5001) if same(row["text"]) not in known]


def corrections(session: str) -> list[Row]:
    """What people found when they went through the tickets: id and right team of most of those labelled wrongly."""
    rng = random.Random(f"{session}/corrections")
    _, right = first_version()
    return [{"id": number, "team": team} for number, team in right.items() if rng.random() < 0.9]


def new_tickets(session: str) -> list[Row]:
    """This week's tickets, some of them sent a second time."""
    rng = random.Random(f"{session}/new")
    rows, _ = first_version()
    kept_out = {same(row["text"]) for row in heldout()}
    fresh = [row for row in draw(rng, 80, 801) if same(row["text"]) not in kept_out]
    again = [{**_shaken(rng, rng.choice(rows)), "id": str(881 + n)} for n in range(10)]
    return fresh + again


def second_version(session: str) -> list[Row]:
    """What the first version becomes: corrected, with the new tickets, each text once."""
    rows, _ = first_version()
    right = {row["id"]: row["team"] for row in corrections(session)}
    merged = [{**row, "team": right.get(row["id"], row["team"])} for row in rows] + new_tickets(session)
    first: dict[str, Row] = {}
    for row in merged:
        first.setdefault(same(row["text"]), row)
    return list(first.values())


def same(text: str) -> str:
    """Texts that are the same to a reader are the same here: small letters, one space between words."""
    return re.sub(r"\s+", " ", text).strip().lower()


def settings(session: str) -> dict[str, Any]:
    """What the colleague really trained with."""
    rng = random.Random(f"{session}/colleague")
    return {
        "ngrams": rng.choice([1, 2]),
        "min_df": rng.choice([1, 2, 3]),
        "learning_rate": rng.choice([0.08, 0.15, 0.22, 0.35]),
        "l2": rng.choice([0.0001, 0.0003, 0.001]),
        "epochs": rng.randint(5, 9),
        "seed": rng.randint(1000, 9999),
    }


def as_csv(rows: Iterable[Row], columns: Sequence[str] = COLUMNS) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    (folder / "tickets.csv").write_text(as_csv(first_version()[0]), encoding="utf-8")
    (folder / "heldout.csv").write_text(as_csv(heldout()), encoding="utf-8")
