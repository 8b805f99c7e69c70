"""Your API. `uvicorn app:app --reload` runs this file, and starts it again whenever you save it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

VERSION = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(Path().glob("*.py")))).hexdigest()[:12]

app = FastAPI(title="Sentiment")


class Review(BaseModel):
    text: str


@app.get("/health")
def health() -> dict[str, str]:
    """Says that the process is up and which version of your files it runs: compare it with `cat *.py | sha256sum`."""
    return {"status": "ok", "version": VERSION}


@app.post("/analyze")
def analyze(review: Review) -> dict[str, str | float]:
    raise HTTPException(501, "not written yet: see step 1 of the instructions")
