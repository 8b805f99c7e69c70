"""The model behind its endpoint, and the tools behind theirs. Given: read it once, everything of yours goes through it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

MODEL = os.environ["LLM_MODEL"]
LLM_URL = os.environ["LABCTL_URL_LLM"]
"""The model that does its best."""
UNRULY_URL = os.environ["LABCTL_URL_UNRULY"]
"""A scripted model that makes the mistakes of which language models are known: the same mistakes each time."""
TOOLS_URL = os.environ["LABCTL_URL_TOOLS"]


class ToolFailed(Exception):
    """A tool that brought no result. `temporary`: the same call may work a moment later."""

    def __init__(self, message: str, *, temporary: bool) -> None:
        super().__init__(message)
        self.temporary = temporary


def tools() -> list[dict[str, Any]]:
    """All tools in OpenAI's form: name, description, and a JSON schema of the arguments, under `function`."""
    listed: list[dict[str, Any]] = httpx.get(f"{TOOLS_URL}/tools", timeout=30).raise_for_status().json()["tools"]
    return listed


def call_tool(name: str, arguments: Mapping[str, Any]) -> Any:
    """What the tool brings, as a JSON value. Raises ToolFailed. Asks once and checks nothing."""
    try:
        answer = httpx.post(f"{TOOLS_URL}/tools/{name}", json=dict(arguments), timeout=30)
    except httpx.TransportError as error:
        raise ToolFailed(f"error: {error}", temporary=True) from None
    if answer.is_error:
        raise ToolFailed(f"error: {answer.json()['error']}", temporary=answer.status_code >= 500)
    return answer.json()["result"]


def complete(messages: Sequence[Mapping[str, Any]], *, url: str = LLM_URL) -> dict[str, Any]:
    """The model's next message: `content` (its thought, or its answer) and, when it wants one called, `tool_calls`."""
    body = {"model": MODEL, "messages": list(messages), "tools": tools(), "temperature": 0, "max_tokens": 512}
    answer = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=300).raise_for_status().json()
    message: dict[str, Any] = answer["choices"][0]["message"]
    return message
