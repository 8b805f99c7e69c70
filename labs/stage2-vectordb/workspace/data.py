"""The lab's data. Given: read it once, change nothing.

data.catalog()           # 60 things a shop sells: id, category, price (whole euros), year, text
data.queries("needs")    # what customers write: `input`, and the ids that are `relevant`
points, asked = data.points()   # vectors of your session, to search exactly and approximately
"""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
POINTS, QUERIES, DIMENSIONS = 8000, 100, 48


def catalog() -> list[dict[str, Any]]:
    """Every item."""
    return _rows("catalog.jsonl")


def queries(kind: str) -> list[dict[str, Any]]:
    """Queries of a kind: `needs` say in other words what the thing is for, `names` are the beginning of its name."""
    return [row for row in _rows("queries.jsonl") if row["kind"] == kind]


def points() -> tuple[np.ndarray, np.ndarray]:
    """8,000 vectors and 100 queries of 48 numbers, all of length 1. They depend on your session."""
    chance = np.random.default_rng(zlib.crc32(os.environ.get("LABCTL_SESSION", "").encode()))
    drawn = chance.standard_normal((POINTS + QUERIES, DIMENSIONS)).astype("float32")
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn[:POINTS], drawn[POINTS:]


def _rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (HERE / name).read_text(encoding="utf-8").splitlines()]
