"""Step 2: exact search by cosine. An inner product is a cosine only between vectors of length 1.

labctl exec stage2-vectordb -- python search.py
"""

from __future__ import annotations

import faiss
import numpy as np
from similarity import normalised


class FlatIndex:
    """The rows of a matrix, searched exactly by cosine."""

    def __init__(self, dimensions: int) -> None:
        self._index = faiss.IndexFlatIP(dimensions)

    def add(self, rows: np.ndarray) -> None:
        """Add rows (n × dimensions), vectors of any length."""
        self._index.add(np.ascontiguousarray(normalised(rows), dtype="float32"))

    def search(self, query: np.ndarray, k: int) -> list[tuple[int, float]]:
        """(row, cosine) of the k rows with the highest cosine to the query, best first."""
        scores, rows = self._index.search(np.ascontiguousarray(normalised(query[None]), dtype="float32"), k)
        return [(int(row), float(score)) for row, score in zip(rows[0], scores[0], strict=True) if row >= 0]


def main() -> None:
    chance = np.random.default_rng(1)
    words = chance.random((5, 8))
    # A text's vector as the sum of its words' vectors: the more words, the longer the vector.
    rows = np.stack([words[0], words[1], words[:2].sum(0), words.sum(0) * 4, words[2:].sum(0) * 3])
    index = FlatIndex(8)
    index.add(rows)
    print("asked for exactly row 0, found:", index.search(words[0], 3))


if __name__ == "__main__":
    main()
