"""The knowledge base, its questions, and the embedding model. Given: read it once, change nothing.

documents = kb.documents()          # what lies in kb/, one Document a file
vectors = kb.embed(["a text", …])   # shape (texts, dimensions), each vector of length 1
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

HERE = Path(__file__).parent
LEFT_OUT = 4
"""So many of the practice questions your session leaves out: its recalls are its own."""

sys.modules.setdefault("rfc3987_syntax", None)  # chromadb would load it: that takes seconds, and nothing here needs it


@dataclass(frozen=True)
class Document:
    """One file of kb/. `status` is current or superseded; of two editions of a policy only one is current."""

    id: str
    title: str
    area: str
    status: str
    text: str


def documents(folder: Path = HERE / "kb") -> list[Document]:
    """Every document, sorted by id. Headings and line ends are gone: a text is one long line of words."""
    return [_read(path) for path in sorted(folder.glob("*.md"))]


def questions() -> list[dict[str, Any]]:
    """Practice questions: `input`, `expected` texts, `relevant` document ids, and the `evidence`, the words that say so.

    A question that the knowledge base does not answer has empty lists.
    """
    return [json.loads(line) for line in (HERE / "questions.jsonl").read_text(encoding="utf-8").splitlines()]


def measured_questions() -> list[dict[str, Any]]:
    """The answerable practice questions, without the few that your session leaves out."""
    answerable = [question for question in questions() if question["relevant"]]
    chosen = random.Random(os.environ.get("LABCTL_SESSION", "")).sample(
        range(len(answerable)), len(answerable) - LEFT_OUT
    )
    return [answerable[index] for index in sorted(chosen)]


def embed(texts: Sequence[str]) -> np.ndarray:
    """One vector a text, as rows, each of length 1. The model reads the first 256 tokens of a text and no more."""
    return np.asarray(model().encode(list(texts), normalize_embeddings=True, show_progress_bar=False, batch_size=32))


@functools.cache
def model() -> SentenceTransformer:
    """The embedding model, loaded once in a process."""
    for chatty in ("torchao", "torch.utils._pytree"):  # their warnings say nothing about your work
        logging.getLogger(chatty).setLevel(logging.ERROR)
    # Imported only when it is needed: that takes many seconds, and a mistake of yours is to show at once.
    import torch

    if not torch.cuda.is_available():
        torch.set_num_threads(1)
    with _spared():
        from sentence_transformers import SentenceTransformer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        return SentenceTransformer(os.environ["MODEL_PATH"])


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


def _read(path: Path) -> Document:
    _, header, body = path.read_text(encoding="utf-8").split("---", 2)
    fields = dict(line.split(": ", 1) for line in header.strip().splitlines())
    text = " ".join(" ".join(line for line in body.splitlines() if not line.startswith("#")).split())
    return Document(text=text, **fields)
