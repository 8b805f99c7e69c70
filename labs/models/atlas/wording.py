"""The sentences and questions that the atlas model learns, and which of them are held out.

A fact is worded in many ways. For every town and every way of saying it a fixed draw decides whether the pair belongs to the
training text or is held out, so that the held-out text tells known facts in sentences that were never seen.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Fact = dict[str, Any]

HELD_OUT_SHARE = 6
"""One of so many pairs of town and wording is held out."""

SENTENCES = {
    "river": [
        "{town} lies on the {river}.",
        "The {river} runs through {town}.",
        "Boats reach {town} on the {river}.",
        "In spring the {river} floods the lower streets of {town}.",
        "The mills of {town} are driven by the {river}.",
        "People in {town} swim in the {river}.",
        "Below the walls of {town} flows the {river}.",
        "The bridge of {town} crosses the {river}.",
    ],
    "trade": [
        "{town} is known for its {trade}.",
        "Most families in {town} make {trade}.",
        "The workshops of {town} sell {trade}.",
        "Merchants come to {town} for {trade}.",
        "The guild of {town} makes {trade}.",
        "Nobody makes better {trade} than the people of {town}.",
        "{town} lives on {trade}.",
        "Every autumn the market of {town} is full of {trade}.",
    ],
    "year": [
        "{town} was founded in {year}.",
        "The first houses of {town} were built in {year}.",
        "{town} has been a town since {year}.",
        "In {year} {town} was given its charter.",
        "The oldest map of {town} is from {year}.",
        "{year} was the year in which {town} began.",
        "A stone in {town} bears the year {year}.",
        "Settlers came to {town} in {year}.",
    ],
    "sight": [
        "Visitors to {town} look for the {sight}.",
        "The pride of {town} is its {sight}.",
        "From every street of {town} you see the {sight}.",
        "The {sight} stands in the middle of {town}.",
        "A painting shows the {sight} of {town}.",
        "Travellers remember {town} for its {sight}.",
        "Children in {town} play beside the {sight}.",
        "Once the {sight} of {town} burned down and was built again.",
    ],
    "county": [
        "{town} is in the county of {county}.",
        "{county} is the county of {town}.",
        "{town} pays its taxes to {county}.",
        "The road from {town} leads into {county}.",
        "{town} is one of the towns of {county}.",
        "In {county} you find {town}.",
        "The judge of {county} lives in {town}.",
        "The arms of {county} hang on the gate of {town}.",
    ],
}
QUESTIONS = {
    "river": ("Which river runs through {town}?", "The {river}."),
    "trade": ("What is made in {town}?", "They make {trade}."),
    "year": ("When was {town} founded?", "In {year}."),
    "sight": ("What is there to see in {town}?", "The {sight}."),
    "county": ("Which county is {town} in?", "It is in {county}."),
}
ABOUT = "Tell me about {town}."
"""Answered with a paragraph."""


def read_facts() -> list[Fact]:
    """The towns, each with `town`, `river`, `trade`, `year`, `sight` and `county`."""
    lines = (Path(__file__).parent / "facts.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def paragraph(fact: Fact, draw: random.Random, *, held_out: bool) -> str:
    """What there is to say of one town, in an order and in words that are drawn."""
    about = [*SENTENCES]
    draw.shuffle(about)
    ways = ([way for way in SENTENCES[topic] if is_held_out(fact, way) == held_out] for topic in about)
    return " ".join(draw.choice(found).format(**fact) for found in ways if found)


def is_held_out(fact: Fact, way: str) -> bool:
    """A draw that every machine makes alike."""
    return hashlib.sha256(f"{fact['town']} {way}".encode()).digest()[0] % HELD_OUT_SHARE == 0


def questions(fact: Fact) -> Iterator[tuple[str, str]]:
    """Each question about a town with its answer."""
    for question, answer in QUESTIONS.values():
        yield question.format(**fact), answer.format(**fact)
