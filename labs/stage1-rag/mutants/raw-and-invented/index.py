"""Step 4: the index, a Chroma collection on disk in data/index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import chromadb
import kb
from chunking import split

SIZE, OVERLAP = 60, 20
FOLDER = "data/index"
COLLECTION = "knowledge"


@dataclass(frozen=True)
class Passage:
    """A chunk that was found. `score` is the cosine with the question: 1 the same, 0 nothing in common."""

    document: str
    title: str
    text: str
    score: float


class Index:
    """What was said about the company, by meaning. Opening it builds it, unless it is there with the same settings."""

    def __init__(self, folder: str = FOLDER) -> None:
        client = chromadb.PersistentClient(folder, settings=chromadb.Settings(anonymized_telemetry=False))
        built_with = {"size": SIZE, "overlap": OVERLAP, "hnsw:space": "cosine"}
        names = [collection.name for collection in client.list_collections()]
        if COLLECTION in names and client.get_collection(COLLECTION, embedding_function=None).metadata != built_with:
            client.delete_collection(COLLECTION)
        self._chunks: Any = client.get_or_create_collection(COLLECTION, metadata=built_with, embedding_function=None)
        if self._chunks.count() == 0:
            self.build()

    def build(self) -> None:
        """Add the documents of kb/ that are in force."""
        for document in kb.documents():
            if document.status == "current":
                self.add(document)

    def add(self, document: kb.Document) -> int:
        """Cut the document, embed and store its chunks; how many there are. A document with the same id gives way."""
        chunks = split(document.text, SIZE, OVERLAP)
        if chunks:
            self._chunks.add(
                ids=[f"{document.id}#{number}" for number in range(len(chunks))],
                embeddings=kb.embed([f"{document.title}\n{chunk}" for chunk in chunks]),
                documents=chunks,
                metadatas=[{"document": document.id, "title": document.title} for _ in chunks],
            )
        return len(chunks)

    def search(self, question: str, k: int) -> list[Passage]:
        """The k chunks nearest to the question, best first."""
        found = self._chunks.query(query_embeddings=kb.embed([question]), n_results=k)
        return [
            Passage(document=about["document"], title=about["title"], text=text, score=1 - distance)
            for about, text, distance in zip(
                found["metadatas"][0], found["documents"][0], found["distances"][0], strict=True
            )
        ]
