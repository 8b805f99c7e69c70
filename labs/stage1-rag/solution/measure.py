"""Step 3: recall over a grid of chunk sizes and overlaps, written to out/grid.json.

labctl exec stage1-rag -- python measure.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import kb
import numpy as np
from chunking import split

OUT = Path("out")
GRID = [(20, 0), (20, 6), (60, 0), (60, 20), (180, 0), (180, 60)]  # (size, overlap) in words
BUDGET_WORDS = 180
K = 3


def chunks(size: int, overlap: int) -> list[tuple[str, str, str]]:
    """(document id, title, chunk) of every document that is in force."""
    return [
        (document.id, document.title, chunk)
        for document in kb.documents()
        if document.status == "current"
        for chunk in split(document.text, size, overlap)
    ]


def ranking(questions: list[dict[str, Any]], made: list[tuple[str, str, str]]) -> np.ndarray:
    """For each question (a row) the indices of all chunks, nearest first. A chunk is embedded with its title."""
    vectors = kb.embed([f"{title}\n{chunk}" for _, title, chunk in made])
    return np.argsort(-(kb.embed([question["input"] for question in questions]) @ vectors.T), axis=1)


def row(size: int, overlap: int, questions: list[dict[str, Any]]) -> dict[str, float]:
    """What one setting comes to."""
    made = chunks(size, overlap)
    order = ranking(questions, made)
    ranks = [rank(question, made, best) for question, best in zip(questions, order, strict=True)]
    lengths = [sum(len(made[index][2].split()) for index in best[:K]) for best in order]
    return {
        "size": size,
        "overlap": overlap,
        "chunks": len(made),
        "recall_at_3": sum(place < K for place in ranks) / len(ranks),
        "words_at_3": sum(lengths) / len(lengths),
        "recall_in_180": sum(place < BUDGET_WORDS // size for place in ranks) / len(ranks),
    }


def rank(question: dict[str, Any], made: list[tuple[str, str, str]], best: np.ndarray) -> int:
    """The place, from 0, of the first chunk that holds the evidence; behind all of them when none does."""
    holds = (
        made[index][0] in question["relevant"] and question["evidence"] in made[index][2] for index in best.tolist()
    )
    return next((place for place, held in enumerate(holds) if held), len(made))


def main() -> None:
    questions = kb.measured_questions()
    rows = []
    for size, overlap in GRID:
        rows.append(row(size, overlap, questions))
        print(rows[-1], flush=True)
    OUT.mkdir(exist_ok=True)
    (OUT / "grid.json").write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
