"""The service: POST /ask and POST /documents. Given, it starts again whenever you save a file.

labctl logs stage1-rag rag -f

Your files are imported in the requests: with their libraries that takes long, and the server is up before. A mistake in them is
then the error of a request, with its traceback in the log, and not a server that does not start.
"""

from __future__ import annotations

from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Annotated

from fastapi import FastAPI
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
    from index import Index

    return Index()
