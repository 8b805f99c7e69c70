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
    # Yours. A question counts as found in the first k when one of those chunks is of a relevant document and holds the
    # question's `evidence` whole. Return a dict with
    #   size, overlap,
    #   chunks          how many chunks there are to embed and to keep
    #   recall_at_3     the share of questions found in the first 3 chunks
    #   words_at_3      the mean number of words of those 3 chunks together: what a prompt would hold
    #   recall_in_180   the share found in the first BUDGET_WORDS // size chunks: the same prompt for every setting
    raise NotImplementedError("step 3: row in measure.py is yours to write")


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
