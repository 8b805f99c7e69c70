"""Prints what the learner's cosine, nearest and by_meaning give. Runs in the session, without the embedding model.

    python -B nearest.py < {"pairs": [[a, b], …], "query": […], "vectors": [[…], …], "k": …}

The module kb is replaced: its embed looks a text's vector up, so by_meaning is seen to search by what embed gives.
"""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import numpy as np

given = json.load(sys.stdin)
vectors, query = np.array(given["vectors"]), np.array(given["query"])
known = {f"text {number}": vector for number, vector in enumerate(vectors)} | {"the query": query}

kb = types.ModuleType("kb")
kb.HERE = Path.cwd()  # type: ignore[attr-defined]
kb.embed = lambda texts: np.stack([known[text] for text in texts])  # type: ignore[attr-defined]
sys.modules["kb"] = kb
sys.path.insert(0, str(Path.cwd()))
import neighbours  # noqa: E402 it imports kb

texts = [f"text {number}" for number in range(len(vectors))]
answer = {
    "cosines": [float(neighbours.cosine(np.array(a), np.array(b))) for a, b in given["pairs"]],
    "nearest": [int(index) for index in neighbours.nearest(query, vectors, given["k"])],
    "by_meaning": [int(index) for index in neighbours.by_meaning("the query", texts, given["k"])],
}
print(json.dumps(answer))
