"""Step 2: what an embedding is for. Nearest neighbours by hand, and words against meaning.

labctl exec stage1-rag -- python neighbours.py
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import kb
import numpy as np

OUT = Path("out")
K = 3


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """The cosine of the angle between two vectors of any length: a·b / (|a| |b|). Don't call a library's for it."""
    return float(a @ b / (np.sqrt(a @ a) * np.sqrt(b @ b)))


def nearest(query: np.ndarray, vectors: np.ndarray, k: int) -> list[int]:
    """The rows of `vectors` (n × d, of any length) with the highest cosine to `query` (d), best first."""
    scores = vectors @ query
    return [int(index) for index in np.argsort(-scores, kind="stable")[:k]]


def by_words(query: str, texts: list[str], k: int) -> list[int]:
    """The texts that share most different words with the query, best first; the earlier one where two share as many."""
    wanted = _words(query)
    shared = [len(wanted & _words(text)) for text in texts]
    return sorted(range(len(texts)), key=lambda index: -shared[index])[:k]


def by_meaning(query: str, texts: list[str], k: int) -> list[int]:
    """The texts whose embeddings are nearest to the query's, best first."""
    return nearest(kb.embed([query])[0], kb.embed(texts), k)


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z0-9-]+", text.lower()))


def main() -> None:
    cases = json.loads((kb.HERE / "paraphrases.json").read_text(encoding="utf-8"))
    texts = cases["texts"]
    found: dict[str, dict[str, float]] = {}
    for kind in ("paraphrases", "codes"):
        searches = {"words": by_words, "meaning": by_meaning}
        found[kind] = {
            name: sum(case["text"] in search(case["query"], texts, K) for case in cases[kind]) / len(cases[kind])
            for name, search in searches.items()
        }
    OUT.mkdir(exist_ok=True)
    (OUT / "neighbours.json").write_text(json.dumps(found, indent=2))
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
