"""The service: POST /ask, GET /search and POST /documents. Given, it starts again whenever you save a file.

labctl logs stage1-rag rag -f

Your files are imported in the requests: with their libraries that takes long, and the server is up before. A mistake in them is
then the error of a request, with its traceback in the log, and not a server that does not start.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Annotated

from fastapi import FastAPI, Query
from pydantic import BaseModel, StringConstraints

if TYPE_CHECKING:
    from index import Index

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]
app = FastAPI(title="Ask Norrbeck")
opening = Lock()


class Question(BaseModel):
    question: Text


class NewDocument(BaseModel):
    id: Text
    title: Text
    text: Text


@app.post("/ask")
def ask(asked: Question) -> dict[str, object]:
    """The answer, the documents that it rests on, and whether the service had to pass."""
    from answering import answer

    found = answer(index(), asked.question)
    return {"answer": found.text, "sources": found.sources, "refused": found.refused}


@app.get("/search")
def search(question: Text, k: Annotated[int, Query(ge=1, le=50)] = 3) -> list[dict[str, object]]:
    """The passages that the index finds, best first. No model is asked: step 4 can be tried before step 5 is written."""
    return [asdict(passage) for passage in index().search(question, k)]


@app.post("/documents", status_code=201)
def add(new: NewDocument) -> dict[str, object]:
    """Take a document into the knowledge base."""
    import kb

    document = kb.Document(id=new.id, title=new.title, area="added", status="current", text=" ".join(new.text.split()))
    return {"id": new.id, "chunks": index().add(document)}


def index() -> Index:
    """Opened at the first request, and only once when several come together."""
    with opening:
        return _opened()


@cache
def _opened() -> Index:
    import kb
    from index import Index

    opened = Index()
    kb.model()  # loaded here, once: two requests that load it at the same time get in each other's way
    return opened
