"""Given: asks vLLM for an answer and hands on its parts as they come. Read it once; nothing here has to be changed."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx

URL = os.environ.get("VLLM_URL") or os.environ.get("LABCTL_URL_VLLM", "http://127.0.0.1:8000")
TIMEOUT_S = 120.0


class UpstreamError(Exception):
    """vLLM refused the request, or cannot be reached."""


@dataclass(frozen=True)
class Piece:
    """A part of the answer's text."""

    text: str


@dataclass(frozen=True)
class Usage:
    """What vLLM counted, in tokens; the last thing that comes."""

    input: int
    output: int


async def stream(question: str, max_tokens: int, *, long: bool = False) -> AsyncIterator[Piece | Usage]:
    """The answer piece by piece, then its usage. `long` goes on to `max_tokens` whatever the model says, for load tests."""
    body = {
        "model": "model",
        "messages": [{"role": "user", "content": question}],
        "temperature": 0,
        "max_tokens": max_tokens,
        "ignore_eos": long,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    try:
        async with (
            httpx.AsyncClient(timeout=TIMEOUT_S) as client,
            client.stream("POST", f"{URL}/v1/chat/completions", json=body) as answer,
        ):
            if answer.status_code != 200:
                raise UpstreamError(f"vLLM answered {answer.status_code}: {(await answer.aread()).decode()[:200]}")
            async for line in answer.aiter_lines():
                for part in _parts(line):
                    yield part
    except httpx.HTTPError as error:
        raise UpstreamError(f"{type(error).__name__}: {error}") from error


def _parts(line: str) -> list[Piece | Usage]:
    """What one line of the event stream says."""
    if not line.startswith("data: ") or line == "data: [DONE]":
        return []
    event = json.loads(line.removeprefix("data: "))
    texts = [choice["delta"].get("content") for choice in event.get("choices", [])]
    usage = event.get("usage")
    said: list[Piece | Usage] = [Piece(text) for text in texts if text]
    return [*said, Usage(usage["prompt_tokens"], usage["completion_tokens"])] if usage and not texts else said
