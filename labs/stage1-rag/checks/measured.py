"""Measures recall anew, in the session, without a line of the learner's. One JSON line, {"orders", "rows"}.

    python -I -B measured.py < {"texts": …, "queries": […], "settings": [{"size", "chunks"}, …], "questions": […]}

`orders` has for each query the texts that are nearest, best first, `rows` the figures of a row of the grid for each setting.
`chunks` are [document, title, chunk] as the learner's split made them.
"""

# ruff: noqa: E402 - what is not to be loaded has to be named first

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

# Not needed here, and half of the time that sentence_transformers takes to load.
DATASETS = ("Dataset", "DatasetDict", "IterableDataset", "IterableDatasetDict", "Sequence", "Value")
sys.modules |= dict.fromkeys(("peft", "scipy", "sklearn", "torchao"))
sys.modules["scipy.sparse"] = SimpleNamespace(coo_matrix=None)
sys.modules["sklearn.metrics"] = SimpleNamespace(pairwise_distances=None)
sys.modules["datasets"] = SimpleNamespace(__spec__=SimpleNamespace(), __version__="", **dict.fromkeys(DATASETS, object))

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

K = 3
BUDGET_WORDS = 180


def main() -> None:
    torch.set_num_threads(1)
    given = json.load(sys.stdin)
    model = SentenceTransformer(os.environ["MODEL_PATH"])
    orders = ranked(model, given["queries"], given["texts"])
    rows = [row(model, one["size"], one["chunks"], given["questions"]) for one in given["settings"]]
    print(json.dumps({"orders": orders, "rows": rows}))


def row(
    model: SentenceTransformer, size: int, chunks: Sequence[Sequence[str]], questions: Sequence[dict[str, Any]]
) -> dict[str, float]:
    order = ranked(
        model, [question["input"] for question in questions], [f"{title}\n{text}" for _, title, text in chunks]
    )
    ranks = []
    for question, best in zip(questions, order, strict=True):
        holds = [chunks[i][0] in question["relevant"] and question["evidence"] in chunks[i][2] for i in best]
        ranks.append(holds.index(True) if True in holds else len(chunks))
    words = [sum(len(chunks[i][2].split()) for i in best[:K]) for best in order]
    return {
        "chunks": len(chunks),
        "recall_at_3": sum(rank < K for rank in ranks) / len(ranks),
        "words_at_3": sum(words) / len(words),
        "recall_in_180": sum(rank < BUDGET_WORDS // size for rank in ranks) / len(ranks),
    }


def ranked(model: SentenceTransformer, queries: list[str], texts: list[str]) -> list[list[int]]:
    """For each query the indices of all texts, nearest first."""
    options = {"normalize_embeddings": True, "show_progress_bar": False, "batch_size": 32}
    scores = np.asarray(model.encode(queries, **options)) @ np.asarray(model.encode(texts, **options)).T
    return np.argsort(-scores, axis=1).tolist()


main()
