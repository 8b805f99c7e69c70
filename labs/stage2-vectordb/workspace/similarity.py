"""Step 1: cosine similarity, by hand and by a library."""

from __future__ import annotations

import numpy as np


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """a·b / (|a| |b|), by hand: sums, products and a square root. 0 when one of the vectors is all zeros."""
    raise NotImplementedError("step 1: cosine in similarity.py is yours to write")


def normalised(rows: np.ndarray) -> np.ndarray:
    """The same directions (n × d), each row of length 1; a row of zeros stays one. The argument is left as it is."""
    raise NotImplementedError("step 1: normalised in similarity.py is yours to write")


def by_library(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The cosines of all rows of `a` (n × d) with all rows of `b` (m × d), as n × m, by a library's function."""
    # Yours: sklearn.metrics.pairwise.cosine_similarity, for one. (sentence_transformers.util.cos_sim gives a tensor.)
    raise NotImplementedError("step 1: by_library in similarity.py is yours to write")
