"""Prints what the learner's functions of steps 1, 2 and 4 give for the vectors on stdin. Runs in the session, without a model.

python -B functions.py < {"similarity": …, "search": …, "approximate": …}

Each part's answer is {"value": …} or {"error": "its last line"}: one that fails leaves the others alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
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


def attempt(part: Callable[[dict[str, Any]], dict[str, Any]], given: dict[str, Any]) -> dict[str, Any]:
    """What the part gives, if JSON can hold it, or how it failed."""
    try:
        value = part(given)
        json.dumps(value)
    except BaseException as error:  # noqa: BLE001 the learner's code may fail in any way, each of them the learner's to mend
        return {"error": f"{type(error).__name__}: {error}"}
    return {"value": value}


asked = json.load(sys.stdin)
with redirect_stdout(sys.stderr):
    answers = {part.__name__: attempt(part, asked[part.__name__]) for part in (similarity, search, approximate)}
print(json.dumps(answers))
