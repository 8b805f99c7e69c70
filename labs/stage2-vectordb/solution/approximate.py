"""Step 4: exact search against HNSW. What do you lose, and what does it save? Written to out/ann.json.

labctl exec stage2-vectordb -- python approximate.py
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import data
import faiss
import numpy as np

OUT = Path("out")
K = 10
EF_SEARCH = [10, 40, 160, 640]
NEIGHBOURS, EF_CONSTRUCTION = 8, 40


def exact(rows: np.ndarray, queries: np.ndarray, k: int) -> list[list[int]]:
    """For each query the k rows with the highest dot product, best first, by looking at every row."""
    return np.argsort(-(queries @ rows.T), axis=1)[:, :k].tolist()


def recall(found: Sequence[Sequence[int]], true: Sequence[Sequence[int]]) -> float:
    """The mean share of each query's true neighbours that is among the found ones, in whatever order."""
    shares = [len(set(some) & set(every)) / len(every) for some, every in zip(found, true, strict=True)]
    return sum(shares) / len(shares)


def graph(rows: np.ndarray) -> faiss.IndexHNSWFlat:
    """A graph over the rows, each linked to about 2 × NEIGHBOURS others; a search walks it from link to link."""
    index = faiss.IndexHNSWFlat(rows.shape[1], NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = EF_CONSTRUCTION
    index.add(rows)
    return index


def main() -> None:
    faiss.omp_set_num_threads(1)  # so that the same rows always give the same graph
    rows, queries = data.points()
    true = exact(rows, queries, K)
    index = graph(rows)
    measured = [{"ef_search": None, "recall": 1.0, "distances": float(len(rows))}]  # the exact search
    for ef_search in EF_SEARCH:
        index.hnsw.efSearch = ef_search
        faiss.cvar.hnsw_stats.reset()
        _, found = index.search(queries, K)
        distances = faiss.cvar.hnsw_stats.ndis / len(queries)
        measured.append({"ef_search": ef_search, "recall": recall(found.tolist(), true), "distances": distances})
    OUT.mkdir(exist_ok=True)
    (OUT / "ann.json").write_text(json.dumps(measured, indent=2))
    print(json.dumps(measured, indent=2))


if __name__ == "__main__":
    main()
