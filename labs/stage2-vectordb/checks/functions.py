"""Prints what the learner's functions of steps 1, 2 and 4 give for the vectors on stdin. Runs in the session, without a model.

python -B functions.py < {"part": "similarity" | "search" | "approximate", …}
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path.cwd()))


def similarity(given: dict[str, Any]) -> dict[str, Any]:
    import similarity as written

    rows, before = np.array(given["rows"]), np.array(given["rows"])
    return {
        "cosines": [float(written.cosine(np.array(a), np.array(b))) for a, b in given["pairs"]],
        "normalised": np.asarray(written.normalised(rows)).tolist(),
        "left_alone": bool((rows == before).all()),
        "by_library": np.asarray(written.by_library(np.array(given["a"]), np.array(given["b"]))).tolist(),
    }


def search(given: dict[str, Any]) -> dict[str, Any]:
    import search as written

    rows = np.array(given["rows"])
    index = written.FlatIndex(rows.shape[1])
    half = len(rows) // 2
    index.add(rows[:half])
    index.add(rows[half:])
    return {
        "found": [
            [[int(row), float(score)] for row, score in index.search(np.array(q), given["k"])] for q in given["queries"]
        ]
    }


def approximate(given: dict[str, Any]) -> dict[str, Any]:
    import approximate as written

    rows, queries = np.array(given["rows"], dtype="float32"), np.array(given["queries"], dtype="float32")
    found = written.exact(rows, queries, given["k"])
    return {
        "exact": [[int(row) for row in best] for best in found],
        "recall": [float(written.recall(some, true)) for some, true in given["recalls"]],
    }


given = json.load(sys.stdin)
print(json.dumps({"similarity": similarity, "search": search, "approximate": approximate}[given["part"]](given)))
