"""The two models, loaded once in a process. Given: read it once, change nothing.

    scoring.by_embedding(question, texts)   # fast: texts are embedded once, without knowing the question
    scoring.by_reranker(question, texts)    # slow: a cross-encoder reads question and text together

Both give one number a text; higher is better. Numbers of one model mean nothing to the other.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence

import numpy as np
import torch
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
    return SentenceTransformer(os.environ["MODEL_PATH"])


@functools.cache
def _reranker() -> CrossEncoder:
    return CrossEncoder(os.environ["MODEL_PATH_RERANKER"], max_length=192)
