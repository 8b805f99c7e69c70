"""The texts of your session: other sessions have others, so their numbers are not yours. Given; read it once."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

HERE = Path(__file__).parent
KINDS = ("plain", "negated", "contrast", "unforeseen")
EACH = 30

PRODUCT = "This product is amazing but the price is too high."
"""The text that all models are compared on."""
TURNED = "Although the price is too high, this product is amazing."
"""Much the same words, turned round."""

FILLER = """We arrived in the evening and parked behind the house.
The room was on the second floor.
There was a lamp, a table and a window to the street.
We had breakfast at eight and went for a walk.
The town has a market, a church and a small harbour.
On the second day we took the bus to the lake.
A man at the desk gave us a map.
In the afternoon we read our books.
We saw two boats and a dog.
The train home left at noon."""
OPENINGS = ["The kitchen is great.", "We found the bed comfortable.", "The view is beautiful.", "I love the garden."]
ENDINGS = ["The room was very dirty.", "The staff is rude.", "I want my money back.", "We had a terrible time."]


def labelled() -> list[dict[str, str]]:
    """120 English reviews with `text`, `label` and `kind`: 30 of each kind."""
    return [row for kind in KINDS for row in _drawn(kind)]


def german() -> list[dict[str, str]]:
    """30 German reviews with `text` and `label`."""
    return _drawn("german")


def long_review() -> tuple[str, str]:
    """A review of some 700 words that begins kindly, and its last sentence, which is not kind."""
    rng = random.Random(f"long {_seed()}")
    opening, ending = rng.choice(OPENINGS), rng.choice(ENDINGS)
    middle = [rng.choice(FILLER.splitlines()) for _ in range(85)]
    return " ".join([opening, *middle, ending]), ending


def _drawn(kind: str) -> list[dict[str, str]]:
    lines = (HERE / "data" / "reviews.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["kind"] == kind]
    return random.Random(f"{kind} {_seed()}").sample(rows, EACH)


def _seed() -> str:
    return os.environ.get("LABCTL_SESSION", "")
