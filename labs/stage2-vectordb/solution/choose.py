"""Step 5: three embedding models compared, written to out/models.json.

labctl exec stage2-vectordb -- python choose.py
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import data
import numpy as np
import torch
from sentence_transformers import SentenceTransformer

OUT = Path("out")
K = 5
MEASURED_S = 2
"""So long is a model's speed measured: a fast one often enough that some run is not disturbed."""
LAYERS = {"full": None, "two-layers": 2, "static": 0}
"""Three models out of one: all its layers, the first two, and none: then a text is the mean of its tokens' own vectors."""

if not torch.cuda.is_available():
    torch.set_num_threads(1)


def load(layers: int | None) -> SentenceTransformer:
    """The embedding model with its first `layers` transformer layers; all of them for None."""
    model = SentenceTransformer(os.environ["MODEL_PATH"])
    encoder = model[0].auto_model.encoder
    encoder.layer = encoder.layer[:layers]
    return model


def megabytes(model: SentenceTransformer) -> float:
    """What the parameters take in 32-bit floats, in 10^6 bytes."""
    return sum(parameter.numel() for parameter in model.parameters()) * 4 / 1e6


def recall_at_5(model: SentenceTransformer, kind: str) -> float:
    """The share of the queries of this kind whose relevant item is among the five texts of the catalog with the highest cosine."""
    items, queries = data.catalog(), data.queries(kind)
    options = {"normalize_embeddings": True, "show_progress_bar": False}
    texts = model.encode([item["text"] for item in items], **options)
    best = np.argsort(-(model.encode([query["input"] for query in queries], **options) @ texts.T), axis=1)[:, :K]
    found = [
        any(items[index]["id"] in query["relevant"] for index in row) for query, row in zip(queries, best, strict=True)
    ]
    return sum(found) / len(found)


def milliseconds(model: SentenceTransformer, texts: Sequence[str]) -> float:
    """The time to embed one text, on average over `texts`: the best of many runs, after one that does not count."""
    times: list[float] = []
    while len(times) < 4 or sum(times) < MEASURED_S:
        began = time.perf_counter()
        model.encode(list(texts), show_progress_bar=False)
        times.append(time.perf_counter() - began)
    return 1000 * min(times[1:]) / len(texts)


def main() -> None:
    texts = [item["text"] for item in data.catalog()]
    rows = {}
    for name, layers in LAYERS.items():
        model = load(layers)
        rows[name] = {
            "megabytes": megabytes(model),
            "milliseconds": milliseconds(model, texts),
            "recall_needs": recall_at_5(model, "needs"),
            "recall_names": recall_at_5(model, "names"),
        }
        print(name, rows[name], flush=True)
    OUT.mkdir(exist_ok=True)
    (OUT / "models.json").write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
