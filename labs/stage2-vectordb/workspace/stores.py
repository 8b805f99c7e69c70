"""Step 3: two vector databases behind one interface. A program that uses it cannot tell which one it has.

Items are dicts {"id": "tools-01", "category": "tools", "price": 89, "year": 2021, "text": …}; vectors (n × d) have any length,
and distances are cosines. `where` narrows a search down, before it takes the k nearest:

    {"category": "tools"}                       only this category
    {"max_price": 50}                           price 50 or less
    {"category": "tools", "max_price": 50}      both
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

Item = dict[str, Any]
Where = Mapping[str, Any] | None


class Store(Protocol):
    """What both databases can do. What was stored is there again when the folder is opened by another process."""

    def upsert(self, items: Sequence[Item], vectors: np.ndarray) -> None:
        """Insert items; one whose id is there already gives way, vector and all."""

    def search(self, vector: np.ndarray, k: int, where: Where = None) -> list[tuple[str, float]]:
        """(id, cosine) of the k nearest items that `where` allows, best first."""

    def change_price(self, id: str, price: int) -> None:
        """Change an item's price and nothing else of it, its vector included."""

    def delete(self, ids: Sequence[str]) -> None:
        """Remove items; an id that is not there is no mistake."""

    def count(self) -> int:
        """How many items there are."""

    def close(self) -> None:
        """Let go of the folder."""


class ChromaStore:
    """A Store in Chroma's files."""

    def __init__(self, folder: str, dimensions: int) -> None:
        # Yours: chromadb.PersistentClient and a collection. Say which distance you want: it is not the cosine by itself.
        # The vectors are given, so embedding_function=None; and Settings(anonymized_telemetry=False).
        raise NotImplementedError("step 3: ChromaStore in stores.py is yours to write")


class QdrantStore:
    """A Store in Qdrant's local mode: the client's own files, no server."""

    def __init__(self, folder: str, dimensions: int) -> None:
        # Yours: qdrant_client.QdrantClient(path=folder). Its ids are whole numbers or UUIDs: uuid.uuid5 makes one of a name,
        # always the same; keep the item's own id in the payload.
        raise NotImplementedError("step 3: QdrantStore in stores.py is yours to write")
