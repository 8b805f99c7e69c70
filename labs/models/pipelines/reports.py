"""Short reports and their one-line summaries, made up by a small grammar: incidents, deliveries, meetings, matches.

A report says more than its summary, in changing order and words, and names people and places that the model never read in
training: their spelling is put together from syllables, and a summary has to copy it.
"""

from __future__ import annotations

import random
from collections.abc import Callable

Report = dict[str, str]

DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
SERVICES = ["payment service", "search page", "mail server", "web shop", "login page", "data store", "phone line"]
CAUSES = {
    "a full disk": "the disk was full",
    "a broken cable": "a cable was broken",
    "an expired certificate": "a certificate had expired",
    "a wrong setting": "somebody had changed a setting",
    "a power cut": "the power was cut",
    "a bad update": "an update went wrong",
}
GOODS = ["chairs", "lamps", "books", "apples", "phones", "bikes", "tyres", "windows", "coats"]
REASONS = {"snow": "of heavy snow", "a strike": "of a strike", "traffic": "the roads were full", "fog": "of thick fog"}
TOPICS = ["the budget", "the new office", "the holiday plan", "the price list", "the website", "the summer party"]
DECISIONS = [
    "wait until spring",
    "ask a lawyer",
    "hire two people",
    "start next week",
    "spend less",
    "try it for a month",
]
SPORTS = ["football", "handball", "hockey", "chess", "basketball"]
MIDDLES = ["", "", "la", "ri", "no", "te", "ma", "du"]
STARTS = [
    "ba",
    "be",
    "do",
    "fa",
    "ge",
    "ha",
    "ka",
    "ko",
    "la",
    "li",
    "ma",
    "mo",
    "na",
    "ol",
    "pe",
    "ra",
    "ro",
    "sa",
    "ti",
    "vo",
]
ENDS = ["rin", "den", "lo", "mar", "nik", "ta", "vik", "sund", "bury", "ger", "lia", "dan", "mo", "ster", "pol", "ney"]


def reports(count: int, seed: str) -> list[Report]:
    """`count` different reports, in equal shares of the four kinds: {"text", "summary", "kind"}."""
    rng, found = random.Random(seed), {}
    kinds = list(_MAKERS)
    while len(found) < count:
        kind = kinds[len(found) % len(kinds)]
        text, summary = _MAKERS[kind](rng)
        found[text] = {"text": text, "summary": summary, "kind": kind}
    rows = list(found.values())
    rng.shuffle(rows)
    return rows


def name(rng: random.Random) -> str:
    """A name nobody has, such as Kovik or Listeney: 2240 of them."""
    return (rng.choice(STARTS) + rng.choice(MIDDLES) + rng.choice(ENDS)).capitalize()


def _incident(rng: random.Random) -> tuple[str, str]:
    service, place, day, minutes = rng.choice(SERVICES), name(rng), rng.choice(DAYS), rng.randint(2, 59)
    cause, because = rng.choice(list(CAUSES.items()))
    first = rng.choice([f"On {day} the {service} in {place} failed.", f"The {service} in {place} went down on {day}."])
    rest = [
        rng.choice([f"It was back after {minutes} minutes.", f"Nothing worked for {minutes} minutes."]),
        rng.choice([f"The cause was {cause}.", f"It turned out that {because}."]),
        rng.choice(["Many customers called.", "Nobody was hurt.", f"{name(rng)} wrote to the customers."]),
    ]
    return _told(rng, first, rest), f"The {service} in {place} was down for {minutes} minutes because of {cause}."


def _delivery(rng: random.Random) -> tuple[str, str]:
    goods, place, count, late = rng.choice(GOODS), name(rng), rng.randint(20, 99), rng.randint(2, 9)
    reason, because = rng.choice(list(REASONS.items()))
    first = rng.choice([f"A lorry with {count} {goods} left for {place}.", f"{place} ordered {count} {goods}."])
    rest = [
        rng.choice([f"It came {late} days late.", f"They had to wait {late} days longer."]),
        f"This was because {because}.",
        rng.choice(["The driver was tired.", "The boxes were blue.", f"{name(rng)} signed for it."]),
    ]
    return _told(rng, first, rest), f"{count} {goods} reached {place} {late} days late because of {reason}."


def _meeting(rng: random.Random) -> tuple[str, str]:
    chair, topic, decision, day = name(rng), rng.choice(TOPICS), rng.choice(DECISIONS), rng.choice(DAYS)
    first = rng.choice([f"The team of {chair} met on {day}.", f"On {day} {chair} called the team together."])
    rest = [
        rng.choice([f"They talked about {topic}.", f"The topic was {topic}."]),
        rng.choice([f"In the end they decided to {decision}.", f"They agreed to {decision}."]),
        rng.choice(["There was coffee.", "It took an hour.", f"{name(rng)} was ill."]),
    ]
    return _told(rng, first, rest), f"On {topic} the team of {chair} decided to {decision}."


def _match(rng: random.Random) -> tuple[str, str]:
    home, away, sport, day = name(rng), name(rng), rng.choice(SPORTS), rng.choice(DAYS)
    low, more = rng.randint(0, 4), rng.randint(1, 5)
    first = f"{home} and {away} played {sport} on {day}."
    rest = [
        f"{home} won by {low + more} to {low}.",
        rng.choice(["It rained.", "The hall was full.", "The crowd sang."]),
        rng.choice([f"{name(rng)} was the best player.", "Nobody was injured."]),
    ]
    return _told(rng, first, rest), f"{home} beat {away} {low + more} to {low} at {sport}."


def _told(rng: random.Random, first: str, rest: list[str]) -> str:
    rng.shuffle(rest)
    return " ".join([first, *rest])


_MAKERS: dict[str, Callable[[random.Random], tuple[str, str]]] = {
    "incident": _incident,
    "delivery": _delivery,
    "meeting": _meeting,
    "match": _match,
}
