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

import chromadb
import numpy as np
from qdrant_client import QdrantClient, models

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
        client = chromadb.EphemeralClient(settings=chromadb.Settings(anonymized_telemetry=False))
        self._items: Any = client.get_or_create_collection(
            "items", metadata={"hnsw:space": "cosine"}, embedding_function=None
        )

    def upsert(self, items: Sequence[Item], vectors: np.ndarray) -> None:
        self._items.upsert(
            ids=[item["id"] for item in items],
            embeddings=np.asarray(vectors, dtype="float32"),
            documents=[item["text"] for item in items],
            metadatas=[{name: item[name] for name in ("category", "price", "year")} for item in items],
        )

    def search(self, vector: np.ndarray, k: int, where: Where = None) -> list[tuple[str, float]]:
        query = np.asarray(vector, dtype="float32")[None]
        found = self._items.query(query_embeddings=query, n_results=k)
        rows = zip(found["ids"][0], found["distances"][0], found["metadatas"][0], strict=True)
        return [(id, 1 - distance) for id, distance, about in rows if _allowed(about, where or {})]

    def change_price(self, id: str, price: int) -> None:
        self._items.update(ids=[id], metadatas=[{"price": price}])

    def delete(self, ids: Sequence[str]) -> None:
        self._items.delete(ids=list(ids))

    def count(self) -> int:
        return int(self._items.count())

    def close(self) -> None:
        """Chroma writes at once; there is nothing to let go of."""


class QdrantStore:
    """A Store in Qdrant's local mode: the client's own files, no server."""

    def __init__(self, folder: str, dimensions: int) -> None:
        self._client = QdrantClient(path=folder)
        if not self._client.collection_exists("items"):
            vectors = models.VectorParams(size=dimensions, distance=models.Distance.COSINE)
            self._client.create_collection("items", vectors_config=vectors)

    def upsert(self, items: Sequence[Item], vectors: np.ndarray) -> None:
        points = [
            models.PointStruct(id=_uuid(item["id"]), vector=vector.tolist(), payload=item)
            for item, vector in zip(items, np.asarray(vectors, dtype="float32"), strict=True)
        ]
        self._client.upsert("items", points)

    def search(self, vector: np.ndarray, k: int, where: Where = None) -> list[tuple[str, float]]:
        found = self._client.query_points(
            "items", query=np.asarray(vector).tolist(), limit=k, query_filter=_qdrant_where(where or {})
        )
        return [(point.payload["id"], point.score) for point in found.points]

    def change_price(self, id: str, price: int) -> None:
        self._client.set_payload("items", {"price": price}, points=[_uuid(id)])

    def delete(self, ids: Sequence[str]) -> None:
        self._client.delete("items", [_uuid(id) for id in ids])

    def count(self) -> int:
        return self._client.count("items").count

    def close(self) -> None:
        self._client.close()


def _allowed(about: Mapping[str, Any], where: Mapping[str, Any]) -> bool:
    category = where.get("category", about["category"])
    return about["category"] == category and about["price"] <= where.get("max_price", about["price"])


def _chroma_where(where: Mapping[str, Any]) -> dict[str, Any] | None:
    """Chroma wants `$and` around two conditions, and none around one."""
    wanted: list[dict[str, Any]] = []
    if "category" in where:
        wanted.append({"category": where["category"]})
    if "max_price" in where:
        wanted.append({"price": {"$lte": where["max_price"]}})
    return {"$and": wanted} if len(wanted) > 1 else wanted[0] if wanted else None


def _qdrant_where(where: Mapping[str, Any]) -> models.Filter:
    wanted = []
    if "category" in where:
        wanted.append(models.FieldCondition(key="category", match=models.MatchValue(value=where["category"])))
    if "max_price" in where:
        wanted.append(models.FieldCondition(key="price", range=models.Range(lte=where["max_price"])))
    return models.Filter(must=wanted)


def _uuid(id: str) -> int:
    """Qdrant's ids are numbers or UUIDs; the same name always gives the same one."""
    return abs(hash(id)) % 2**63
