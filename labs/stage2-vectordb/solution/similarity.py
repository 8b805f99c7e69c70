"""Step 1: cosine similarity, by hand and by a library."""

from __future__ import annotations

import numpy as np
from sklearn.metrics.pairwise import cosine_similarity


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """a·b / (|a| |b|), by hand: sums, products and a square root. 0 when one of the vectors is all zeros."""
    lengths = np.sqrt((a * a).sum()) * np.sqrt((b * b).sum())
    return float((a * b).sum() / lengths) if lengths else 0.0


def normalised(rows: np.ndarray) -> np.ndarray:
    """The same directions (n × d), each row of length 1; a row of zeros stays one. The argument is left as it is."""
    lengths = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    return rows / np.where(lengths == 0, 1, lengths)


def by_library(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The cosines of all rows of `a` (n × d) with all rows of `b` (m × d), as n × m, by a library's function."""
    return np.asarray(cosine_similarity(a, b))
