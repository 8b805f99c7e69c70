"""Step 5: from a question to an answer with its sources, or to saying that there is none."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import httpx
from index import Index, Passage

CLIENT = httpx.Client(base_url=os.environ["LLM_URL"], timeout=60)  # one for all questions: its connection stays open
K = 3


@dataclass(frozen=True)
class Answer:
    """`sources` are the ids of the documents that the answer rests on, best first, each once; none when refused."""

    text: str
    sources: list[str] = field(default_factory=list)
    refused: bool = False


def prompt(question: str, passages: list[Passage]) -> list[dict[str, str]]:
    """The conversation for the model: what it may use, what it does when that is not enough, and the question.

    Each passage begins with a line that holds its title, and an empty line stands between passages. The last line is the
    question.
    """
    raise NotImplementedError("step 5: prompt in answering.py is yours to write")


def complete(messages: list[dict[str, str]]) -> str:
    """What the model says."""
    body = {"model": "reader", "messages": messages, "temperature": 0, "max_tokens": 96}
    response = CLIENT.post("/v1/chat/completions", json=body)
    if response.is_error:
        raise RuntimeError(f"the model answered {response.status_code}: {response.text[:300]}")
    return str(response.json()["choices"][0]["message"]["content"]).strip()


def answer(index: Index, question: str) -> Answer:
    """Retrieve, ask, and keep only what the passages support."""
    # Yours: search, prompt, complete. When the model passes, refuse. Of the passages, which ones does the answer rest on?
    raise NotImplementedError("step 5: answer in answering.py is yours to write")
