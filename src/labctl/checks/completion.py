"""One question to an OpenAI-compatible endpoint, for the `chat` check and for the check scripts of a lab."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labctl.checks.base import Unmet
from labctl.checks.documents import parse_json
from labctl.checks.request import require_status
from labctl.target import Request, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The first choice of an answer. Token counts are None when the endpoint does not report its usage."""

    text: str
    tokens: int | None
    prompt_tokens: int | None
    latency_s: float
    finish_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where completions are asked for. `headers` carry the API key where one is needed."""

    service: str
    port: str | None = None
    path: str = "/v1/chat/completions"
    headers: Mapping[str, str]

    def ask(
        self, target: Target, model: str, messages: Sequence[Mapping[str, str]], *, timeout_s: float, **parameters: Any
    ) -> Reply:
        """The model's reply. Unmet when the endpoint refuses or answers in another form than OpenAI's."""
        body = {"model": model, "messages": list(messages), **parameters}
        request = Request(
            service=self.service,
            port=self.port,
            path=self.path,
            method="POST",
            headers={"content-type": "application/json", **self.headers},
            body=json.dumps(body).encode(),
            timeout_s=timeout_s,
        )
        response = target.request(request)
        require_status(response, 200, f"{self.service} (model {model})")
        return _reply(parse_json(response.body, f"the answer of {self.service}"), response.duration_s)


def as_messages(prompt: str | Sequence[Mapping[str, str]], system: str | None = None) -> list[Mapping[str, str]]:
    """A prompt as the messages of a conversation; messages stay as they are.

    >>> as_messages("Hi", "Be brief.")
    [{'role': 'system', 'content': 'Be brief.'}, {'role': 'user', 'content': 'Hi'}]
    """
    said: list[Mapping[str, str]] = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
    return [{"role": "system", "content": system}, *said] if system is not None else said


def _reply(answer: Any, latency_s: float) -> Reply:
    try:
        choice = answer["choices"][0]
        text = choice["message"]["content"]
        usage = answer.get("usage") or {}
        tokens, prompt_tokens = usage.get("completion_tokens"), usage.get("prompt_tokens")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise Unmet("the answer is no chat completion: choices[0].message.content is missing") from None
    return Reply(
        text=text if isinstance(text, str) else "",  # null beside tool calls
        tokens=tokens if isinstance(tokens, int) else None,
        prompt_tokens=prompt_tokens if isinstance(prompt_tokens, int) else None,
        latency_s=latency_s,
        finish_reason=choice.get("finish_reason"),
    )
