"""The two models, loaded once in a process. Given: read it once, change nothing.

    scoring.by_embedding(question, texts)   # fast: texts are embedded once, without knowing the question
    scoring.by_reranker(question, texts)    # slow: a cross-encoder reads question and text together

Both give one number a text; higher is better. Numbers of one model mean nothing to the other.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch


@contextlib.contextmanager
def _spared() -> Iterator[None]:
    """While sentence_transformers loads, without what only training needs: half of the time that it takes."""
    datasets = ("Dataset", "DatasetDict", "IterableDataset", "IterableDatasetDict", "Sequence", "Value")
    spared: dict[str, Any] = {
        **dict.fromkeys(("peft", "scipy", "sklearn", "torchao")),
        "datasets": SimpleNamespace(__spec__=SimpleNamespace(), __version__="", **dict.fromkeys(datasets, object)),
        "scipy.sparse": SimpleNamespace(coo_matrix=None),
        "sklearn.metrics": SimpleNamespace(pairwise_distances=None),
    }
    spared = {name: nothing for name, nothing in spared.items() if name not in sys.modules}
    sys.modules |= spared
    try:
        yield
    finally:  # your own code may import it all
        for name in spared:
            sys.modules.pop(name, None)


with _spared():
    from sentence_transformers import CrossEncoder, SentenceTransformer

if not torch.cuda.is_available():
    torch.set_num_threads(1)


def by_embedding(question: str, texts: Sequence[str]) -> list[float]:
    """The cosine of the question with each text."""
    return (np.stack([_embedded(text) for text in texts]) @ _embedded(question)).tolist()


def by_reranker(question: str, texts: Sequence[str]) -> list[float]:
    """What the cross-encoder says of each pair of the question and a text."""
    return _reranker().predict([(question, text) for text in texts], show_progress_bar=False).tolist()


@functools.cache
def _embedded(text: str) -> np.ndarray:
    return np.asarray(_embedder().encode(text, normalize_embeddings=True, show_progress_bar=False))


@functools.cache
def _embedder() -> SentenceTransformer:
    with _spared():
        return SentenceTransformer(os.environ["MODEL_PATH"])


@functools.cache
def _reranker() -> CrossEncoder:
    with _spared():
        return CrossEncoder(os.environ["MODEL_PATH_RERANKER"], max_length=192)
