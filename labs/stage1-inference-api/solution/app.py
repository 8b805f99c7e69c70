"""A sentiment classifier behind an HTTP API: one text or several."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import errors
import tracing
from fastapi import FastAPI
from pydantic import BaseModel, Field, StringConstraints
from sentiment import load

VERSION = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(Path().glob("*.py")))).hexdigest()[:12]

app = FastAPI(title="Sentiment")
errors.install(app)
tracing.install(app)
classifier = load()  # once, when the process starts; a request only asks it

Text = Annotated[str, StringConstraints(max_length=2000, pattern=r"\S")]


class Review(BaseModel):
    text: Text


class Reviews(BaseModel):
    texts: list[Text] = Field(min_length=1, max_length=32)


class Answer(BaseModel):
    label: str
    score: float


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok", "version": VERSION}


@app.post("/analyze")
def analyze(review: Review) -> Answer:
    return Answer.model_validate(classifier(review.text))


@app.post("/analyze/batch")
def analyze_batch(reviews: Reviews) -> dict[str, list[Answer]]:
    return {"results": [Answer.model_validate(answer) for answer in classifier(reviews.texts)]}
