"""The documents and questions of your session. Given: read it once, change nothing.

Four products, three versions of each, two plans, two facts about each plan: passages that are alike but for a number. The
figures in them depend on your session, so nobody has the same.

    for section in corpus.sections():           # one for each version of each product
        section.title, section.paragraphs       # "Quillstack 2.0", four paragraphs of five sentences
    for question in corpus.questions():
        question.text, question.fact            # the fact is the one sentence that answers
"""

from __future__ import annotations

import os
import random
import re
from dataclasses import dataclass
from itertools import product

PRODUCTS = ("Quillstack", "Ravenport", "Saltmarsh", "Tidewell")
VERSIONS = ("1.0", "2.0", "3.0")
PLANS = ("free", "team")
FACTS = (
    ("the {plan} plan includes {n} seats", "How many seats does the {plan} plan of {name} have in version {v}?"),
    ("the {plan} plan stores {n} gigabytes", "How much can be stored with {name} {v} on the {plan} plan?"),
    ("support answers the {plan} plan within {n} hours", "How fast is support for the {plan} plan in {name} {v}?"),
)
FILLERS = (
    "Most teams notice little of it in their daily work.",
    "The change was asked for by customers in a survey.",
    "An administrator can look it up on the billing page.",
    "It was announced in the newsletter some weeks before.",
    "The old page of the manual redirects to this one.",
    "Resellers may have agreed on something else in writing.",
    "Screenshots in this section were taken on a laptop.",
    "The wording was checked by the legal department.",
    "A short film in the help centre shows how it works.",
    "Nothing has to be installed again for that.",
)


@dataclass(frozen=True)
class Section:
    """What the manual says of one version of one product."""

    title: str
    paragraphs: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    """A question, the sentence that answers it, and the paragraph in which that sentence stands."""

    text: str
    fact: str
    paragraph: str


def sections(seed: str | None = None) -> list[Section]:
    """The manual: twelve sections of four paragraphs."""
    return _written(seed)[0]


def questions(seed: str | None = None) -> list[Question]:
    """One question for each paragraph, 48 in all, in an order of your session."""
    return _written(seed)[1]


def sentences(text: str) -> list[str]:
    """The sentences of a paragraph. "2.0" does not end one."""
    return [part for part in re.split(r"(?<=[.!?])\s+(?=[A-Z])", text.strip()) if part]


def _written(seed: str | None) -> tuple[list[Section], list[Question]]:
    chance = random.Random(os.environ.get("LABCTL_SESSION", "") if seed is None else seed)
    made: list[Section] = []
    asked: list[Question] = []
    for number, name in enumerate(PRODUCTS):
        for v in VERSIONS:
            paragraphs = []
            for (fact, question), plan in product((FACTS[number % 3], FACTS[(number + 1) % 3]), PLANS):
                about = {"name": name, "v": v, "plan": plan, "n": chance.randint(2, 99)}
                sentence = f"In version {{v}} of {{name}}, {fact}.".format(**about)
                lines = chance.sample(FILLERS, 4)
                lines.insert(chance.randrange(5), sentence)
                paragraphs.append(" ".join(lines))
                asked.append(Question(question.format(**about), sentence, paragraphs[-1]))
            made.append(Section(f"{name} {v}", tuple(paragraphs)))
    chance.shuffle(asked)
    return made, asked
