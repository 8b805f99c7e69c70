"""What a model can read from the messages of a request: the task, and the calls made so far with what came of them."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_CALLING = re.compile(r"Calling tools:\s*(\[.*?\])\s*(?=$|Observation:|Error:)", re.DOTALL)
_RESULTS = {
    "get_weather": re.compile(r"celsius\W+\d"),
    "get_order": re.compile(r"total\W+\d"),
    "get_price": re.compile(r"price\W+\d"),
    "get_stock": re.compile(r"count\W+\d"),
    "track_parcel": re.compile(r"status\W+\w"),
    "send_email": re.compile(r"sent\W+m\d"),
    "calculate": re.compile(r"^[^a-z]*(?:(?:observation|result)\W*)*-?\d", re.IGNORECASE),
}
_OBSERVED = ("Observation", "Error:", "Call id:")


@dataclass(slots=True)
class Call:
    """A call as the model asked for it, and what it was told; None while nothing was."""

    name: str
    arguments: Any
    observation: str | None = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class History:
    task: str
    calls: Sequence[Call]

    @property
    def last(self) -> Call | None:
        return self.calls[-1] if self.calls else None

    def result(self, name: str, **arguments: str) -> str | None:
        """What the newest call of this tool with these arguments (others allowed) brought; None when it failed or is not there."""
        for call in reversed(self.calls):
            same = isinstance(call.arguments, dict) and all(call.arguments.get(k) == v for k, v in arguments.items())
            if call.name == name and same and brought(call):
                return call.observation
        return None


def brought(call: Call) -> bool:
    """Whether what the model was told of a call is a result of that tool, and no complaint."""
    pattern = _RESULTS.get(call.name)
    return bool(pattern and call.observation and pattern.search(call.observation))


def read(messages: Sequence[Mapping[str, Any]]) -> History:
    """Understands tool calls with `tool` messages, and calls and observations as plain text, as smolagents writes them."""
    task, calls = "", list[Call]()
    for message in messages:
        text, role = _text(message.get("content")), message.get("role")
        if role == "assistant":
            calls += _asked(message, text)
        elif role == "tool":
            _observe(calls, text, str(message.get("tool_call_id") or ""))
        elif role == "user" and calls and text.lstrip().startswith(_OBSERVED):
            _observe(calls, text, "")
        elif role == "user":
            task = text.partition("New task:")[2] or text
    return History(task=task.strip(), calls=calls)


def _asked(message: Mapping[str, Any], text: str) -> Iterator[Call]:
    for call in message.get("tool_calls") or []:
        yield Call(
            call["function"]["name"], _arguments(call["function"].get("arguments")), id=str(call.get("id") or "")
        )
    for found in _CALLING.findall(text):
        try:
            listed = ast.literal_eval(found)
        except (ValueError, SyntaxError):
            continue
        for call in listed:
            yield Call(
                call["function"]["name"], _arguments(call["function"]["arguments"]), id=str(call.get("id") or "")
            )


def _observe(calls: Sequence[Call], text: str, id: str) -> None:
    waiting = [call for call in calls if call.observation is None]
    for call in [call for call in waiting if id and call.id == id] or waiting:
        call.observation = text


def _arguments(given: Any) -> Any:
    if not isinstance(given, str):
        return given
    try:
        return json.loads(given)
    except ValueError:
        return given


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text", "")) for part in content or [] if isinstance(part, dict))
