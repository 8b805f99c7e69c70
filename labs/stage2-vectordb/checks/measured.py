"""Measures anew, in the session and without a line of the learner's, what out/ann.json and out/models.json say.

    python -I -B measured.py ann < {"session": …}
    python -I -B measured.py models < {"catalog": […], "queries": […]}

`queries` are those of the workspace; the labels decide, so nothing a learner changes in there counts.
"""

from __future__ import annotations

import json
import os
import sys
import time
import zlib
from typing import Any

import numpy as np

K, MEASURED_S = 5, 2
LAYERS = {"full": None, "two-layers": 2, "static": 0}


def ann(given: dict[str, Any]) -> list[dict[str, float]]:
    """Recall and distances of each ef_search, on the points of data.py and with the graph of approximate.py."""
    import faiss

    faiss.omp_set_num_threads(1)
    chance = np.random.default_rng(zlib.crc32(given["session"].encode()))
    drawn = chance.standard_normal((8100, 48)).astype("float32")
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    rows, queries = drawn[:8000], drawn[8000:]
    true = np.argsort(-(queries @ rows.T), axis=1)[:, :10].tolist()
    index = faiss.IndexHNSWFlat(48, 8, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 40
    index.add(rows)
    measured = []
    for ef_search in (10, 40, 160, 640):
        index.hnsw.efSearch = ef_search
        faiss.cvar.hnsw_stats.reset()
        found = index.search(queries, 10)[1].tolist()
        shares = [len(set(a) & set(b)) / 10 for a, b in zip(found, true, strict=True)]
        row = {"recall": sum(shares) / 100, "distances": faiss.cvar.hnsw_stats.ndis / 100}
        measured.append({"ef_search": ef_search, **row})
    return measured


def models(given: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Size, speed and recall of the three models."""
    sys.modules |= dict.fromkeys(("torchao", "peft", "bitsandbytes"))  # they would be loaded, for nothing
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(1)
    options = {"normalize_embeddings": True, "show_progress_bar": False}
    ids, texts = [item["id"] for item in given["catalog"]], [item["text"] for item in given["catalog"]]
    rows = {}
    for name, layers in LAYERS.items():
        model = SentenceTransformer(os.environ["MODEL_PATH"])
        encoder = model[0].auto_model.encoder
        encoder.layer = encoder.layer[:layers]
        vectors = model.encode(texts, **options)
        times: list[float] = []
        while len(times) < 3 or sum(times) < MEASURED_S:
            began = time.perf_counter()
            model.encode(texts, show_progress_bar=False)
            times.append(time.perf_counter() - began)
        size = sum(parameter.numel() for parameter in model.parameters()) * 4 / 1e6
        rows[name] = {"megabytes": size, "milliseconds": 1000 * min(times) / len(texts)}
        for kind in ("needs", "names"):
            asked = [query for query in given["queries"] if query["kind"] == kind]
            best = np.argsort(-(model.encode([query["input"] for query in asked], **options) @ vectors.T), axis=1)
            hits = [any(ids[i] in query["relevant"] for i in row[:K]) for query, row in zip(asked, best, strict=True)]
            rows[name][f"recall_{kind}"] = sum(hits) / len(hits)
    return rows


print(json.dumps({"ann": ann, "models": models}[sys.argv[1]](json.load(sys.stdin))))
