"""Step 5: from a question to an answer with its sources, or to saying that there is none."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import httpx
from index import Index, Passage

CLIENT = httpx.Client(base_url=os.environ["LLM_URL"], timeout=60)  # one for all questions: its connection stays open
K = 3
UNKNOWN = "I do not know: the knowledge base does not say."
RULES = (
    "Answer the question from the passages below and from nothing else, in one or two of their sentences. "
    "If the passages do not contain the answer, say only: I do not know."
)


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
    context = "\n\n".join(f"{passage.title}\n{passage.text}" for passage in passages)
    return [
        {"role": "system", "content": RULES},
        {"role": "user", "content": f"{context}\n\nQuestion: {question}"},
    ]


def complete(messages: list[dict[str, str]]) -> str:
    """What the model says."""
    body = {"model": "reader", "messages": messages, "temperature": 0, "max_tokens": 96}
    response = CLIENT.post("/v1/chat/completions", json=body)
    if response.is_error:
        raise RuntimeError(f"the model answered {response.status_code}: {response.text[:300]}")
    return str(response.json()["choices"][0]["message"]["content"]).strip()


def answer(index: Index, question: str) -> Answer:
    """Retrieve, ask, and keep only what the passages support."""
    passages = index.search(question, K)
    said = complete(prompt(question, passages))
    if "do not know" in said.lower():
        return Answer(text=UNKNOWN, refused=True)
    return Answer(text=said, sources=supporting(said, passages))


def supporting(said: str, passages: list[Passage]) -> list[str]:
    """The documents of the passages that hold the answer word for word, else the one that shares most words with it."""
    holding = [passage for passage in passages if said in passage.text]
    wanted = set(said.lower().split())
    nearest = max(passages, key=lambda passage: len(wanted & set(passage.text.lower().split())))
    return list(dict.fromkeys(passage.document for passage in holding or [nearest]))
