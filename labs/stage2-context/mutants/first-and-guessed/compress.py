"""Step 3: the fact, and as little else as possible.

labctl exec stage2-context -- python compress.py
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import corpus
import scoring
import tokens

T = TypeVar("T")


def drill_down(question: str, sections: Sequence[corpus.Section], keep: tuple[int, int, int]) -> list[str]:
    """Hierarchical retrieval: the best keep[0] sections, of those the best keep[1] paragraphs, of those the best keep[2] sentences.

    Sections are judged by their titles, paragraphs and sentences by themselves. Sentences come best first.
    """
    chosen = best(sections, scoring.by_embedding(question, [section.title for section in sections]), keep[0])
    paragraphs = [paragraph for section in chosen for paragraph in section.paragraphs]
    nearest = best(paragraphs, scoring.by_embedding(question, paragraphs), keep[1])
    return [line for paragraph in nearest for line in corpus.sentences(paragraph)][: keep[2]]


def best(things: Sequence[T], scores: Sequence[float], k: int) -> list[T]:
    """The k things with the highest scores, best first."""
    return [things[index] for index in sorted(range(len(things)), key=lambda index: -scores[index])[:k]]


def compress(question: str, sections: Sequence[corpus.Section], budget: int) -> str:
    """The context for a prompt: at most `budget` tokens, whole sentences, the best of drill_down first, joined by one space."""
    chosen: list[str] = []
    for line in drill_down(question, sections, keep=(3, 6, 4)):
        if tokens.count(" ".join([*chosen, line])) <= budget:
            chosen.append(line)
    return " ".join(chosen)


def main() -> None:
    sections = corpus.sections()
    for question in corpus.questions()[:5]:
        context = compress(question.text, sections, 64)
        print("found" if question.fact in context else "LOST ", tokens.count(context), "tokens:", question.text)


if __name__ == "__main__":
    main()
