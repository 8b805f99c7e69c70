"""Step 4: the index, a Chroma collection on disk in data/index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import chromadb
import kb
from chunking import split

SIZE, OVERLAP = 60, 0  # yours, after step 3
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
        # Yours: mind Document.status.
        raise NotImplementedError("step 4: Index.build in index.py is yours to write")

    def add(self, document: kb.Document) -> int:
        """Cut the document, embed and store its chunks; how many there are. A document with the same id gives way."""
        # Yours: split, kb.embed, and self._chunks.delete(where=…) and .add(ids, embeddings, documents, metadatas).
        # Embed a chunk together with its document's title: on its own, a chunk does not say what it speaks of.
        # The metadata of each chunk: {"document": its document's id, "title": its document's title}.
        raise NotImplementedError("step 4: Index.add in index.py is yours to write")

    def search(self, question: str, k: int) -> list[Passage]:
        """The k chunks nearest to the question, best first."""
        # Yours: self._chunks.query(query_embeddings, n_results). Its distances are 1 - cosine.
        raise NotImplementedError("step 4: Index.search in index.py is yours to write")
