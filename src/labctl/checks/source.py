"""`from`: how the learner's answers are got, one program for all inputs or one request for each."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import Field, model_validator

from labctl.checks.base import Model, NonEmpty, Unmet
from labctl.checks.completion import Endpoint, Reply, as_messages
from labctl.checks.documents import MAX_JSON_BYTES, brief, parse_json
from labctl.checks.request import require_status, why_it_broke
from labctl.target import CommandResult, Request, Response, Target

INPUT = "$input"
MAX_ANSWERS_BYTES = 8 * 1024 * 1024
MAX_LINE_CHARS = 200
CHAT_PATH = "/v1/chat/completions"

Question = tuple[str, Any]
"""An id, and the input that goes with it."""


class Completion(Model):
    """One chat completion at temperature 0; its answer is `{"text": …}`."""

    model: NonEmpty
    """The model's or the adapter's name at the endpoint."""
    system: str | None = None
    """The system message; `$input` in it is filled in."""
    prompt: NonEmpty = INPUT
    """What the user says; `$input` in it is filled in."""
    max_tokens: int = Field(default=128, ge=1)
    """Where a reply is cut, in tokens."""

    def messages(self, given: Any) -> list[dict[str, str]]:
        """The conversation for one input."""
        text = _as_text(given)
        system = None if self.system is None else self.system.replace(INPUT, text)
        return [dict(message) for message in as_messages(self.prompt.replace(INPUT, text), system)]


class CallFields(Model):
    """A request that is sent once for each input, without the service it goes to."""

    port: str | None = None
    """Which of the service's ports; the first one when left out."""
    path: str | None = Field(default=None, pattern=r"^(/|\{\{)")
    """Path and query; `$input` in it is filled in, percent-encoded. / or, with `chat`, /v1/chat/completions when left out."""
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] | None = None
    """The HTTP method; POST with a body, else GET, when left out."""
    headers: dict[str, str] = {}
    """Headers sent with it, for example an Authorization header with the API key."""
    body: Any = None
    """Sent as JSON; each text in it that is exactly `$input` is the input."""
    chat: Completion | None = None
    """A chat completion, in place of method and body."""

    @model_validator(mode="after")
    def _chat_or_body(self) -> CallFields:
        if self.chat is not None and (self.body is not None or self.method is not None):
            raise ValueError("give chat, or method and body, not both")
        return self

    def response(self, target: Target, service: str, given: Any, timeout_s: float) -> Response:
        """The answer with status 200 to a plain request for one input. Unmet for any other status."""
        request = self.request_to(service, given, timeout_s)
        response = target.request(request)
        asked = f"{request.method} {request.path[:MAX_LINE_CHARS]}"
        require_status(response, 200, asked, why_it_broke(target, service, response, 200))
        return response

    def reply(self, target: Target, service: str, given: Any, timeout_s: float) -> Reply:
        """The reply of the chat completion to one input."""
        chat = self._chat()
        endpoint = Endpoint(service=service, port=self.port, path=self._path(given), headers=self.headers)
        said = chat.messages(given)
        return endpoint.ask(target, chat.model, said, timeout_s=timeout_s, temperature=0, max_tokens=chat.max_tokens)

    def request_to(self, service: str, given: Any, timeout_s: float, *, stream: bool = False) -> Request:
        """The request for one input; of a chat completion with `stream`, one whose reply comes in pieces."""
        body = filled(self.body, given)
        if self.chat is not None:
            body = {"model": self.chat.model, "messages": self.chat.messages(given), "temperature": 0}
            body |= {"max_tokens": self.chat.max_tokens, "stream": stream}
        headers = {name.lower(): value for name, value in self.headers.items()}
        if body is not None:
            headers.setdefault("content-type", "application/json")
        return Request(
            service=service,
            port=self.port,
            path=self._path(given),
            method=self.method or ("GET" if body is None else "POST"),
            headers=headers,
            body=None if body is None else json.dumps(body).encode(),
            timeout_s=timeout_s,
            max_bytes=MAX_JSON_BYTES,
        )

    def _path(self, given: Any) -> str:
        path = self.path or ("/" if self.chat is None else CHAT_PATH)
        return path.replace(INPUT, quote(_as_text(given), safe="", errors="replace")) if INPUT in path else path

    def _chat(self) -> Completion:
        if self.chat is None:
            raise ValueError("this asks for no chat completion")
        return self.chat


class Source(CallFields):
    """Where answers come from: a program that reads all inputs, or a service that is asked once for each."""

    command: Annotated[list[NonEmpty], Field(min_length=1)] | None = None
    """A program run once in the workspace. It reads a JSON line `{"id": …, "input": …}` for each input and prints a JSON
    line `{"id": …, …}` for each; what else it has to say goes to its error output. At most 8 MiB are read."""
    service: NonEmpty | None = None
    """The service that is asked; its answers are JSON."""

    @model_validator(mode="after")
    def _one_source(self) -> Source:
        if (self.command is None) == (self.service is None):
            raise ValueError("give exactly one of command or service")
        asked = self.model_fields_set & set(CallFields.model_fields)
        if self.command is not None and asked:
            raise ValueError(f"{', '.join(sorted(asked))} belong to a service; with command they mean nothing")
        return self

    def answers(self, target: Target, questions: Sequence[Question], timeout_s: float) -> list[Any]:
        """The answer to each question, in their order; `timeout_s` is for all together. Unmet when one is wanting."""
        if self.command is not None:
            return _run(target, self.command, questions, timeout_s)
        return self._ask(target, str(self.service), questions, timeout_s)

    def _ask(self, target: Target, service: str, questions: Sequence[Question], timeout_s: float) -> list[Any]:
        deadline = time.monotonic() + timeout_s
        answers: list[Any] = []
        for _, given in questions:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Unmet(f"{len(answers)} of {len(questions)} inputs were answered within {timeout_s:g}s")
            if self.chat is not None:
                answers.append({"text": self.reply(target, service, given, left).text})
            else:
                response = self.response(target, service, given, left)
                answers.append(parse_json(response.body, f"the answer of {service} to {brief(given)}"))
        return answers


def filled(value: Any, given: Any) -> Any:
    """`value` with the input in place of each text that is exactly `$input`.

    >>> filled({"a": ["$input", "$inputs"], "k": 3}, "why?")
    {'a': ['why?', '$inputs'], 'k': 3}
    """
    if value == INPUT:
        return given
    if isinstance(value, list):
        return [filled(item, given) for item in value]
    if isinstance(value, dict):
        return {key: filled(item, given) for key, item in value.items()}
    return value


def _as_text(given: Any) -> str:
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)


def _run(target: Target, command: list[str], questions: Sequence[Question], timeout_s: float) -> list[Any]:
    lines = [json.dumps({"id": id, "input": given}) for id, given in questions]
    stdin = "".join(f"{line}\n" for line in lines).encode()
    result = target.run(command, timeout_s=timeout_s, stdin=stdin, max_output_bytes=MAX_ANSWERS_BYTES)
    name = f"`{' '.join(command)[:120]}`"
    if result.timed_out:
        raise Unmet(f"{name} was still running after {timeout_s:g}s and was ended{_last_words(result)}")
    if result.exit_code != 0:
        raise Unmet(f"{name} ended with {result.exit_code}{_last_words(result)}")
    if result.truncated:
        raise Unmet(f"{name} wrote more than the {MAX_ANSWERS_BYTES} bytes that are looked at")
    found = _by_id(result.stdout, name, {id for id, _ in questions})
    missing = [id for id, _ in questions if id not in found]
    if missing:
        raise Unmet(
            f"{name} gave no answer for {len(missing)} of {len(questions)} inputs, for example id {missing[0]!r}"
        )
    return [found[id] for id, _ in questions]


def _by_id(output: str, name: str, known: set[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for line in filter(str.strip, output.split("\n")):  # other line ends may stand within a JSON text
        id, answer = _parsed(line, name)
        if id not in known:
            raise Unmet(f"{name} answered id {id[:40]!r}, which it was not asked")
        if id in found:
            raise Unmet(f"{name} answered id {id!r} twice")
        found[id] = answer
    return found


def _parsed(line: str, name: str) -> tuple[str, Any]:
    shown = f"{line.strip()[:MAX_LINE_CHARS]!r}"
    try:
        answer = parse_json(line.encode("utf-8", "replace"), "it")
    except Unmet as why:
        wish = "each line of its output is to be one answer; what else it says belongs on stderr"
        raise Unmet(f"{name} wrote {shown}: {why}; {wish}") from None
    id = answer.get("id") if isinstance(answer, dict) else None
    if isinstance(id, bool) or not isinstance(id, str | int):
        raise Unmet(f'{name} wrote {shown}, which is no object with the "id" of an input')
    return str(id), answer


def _last_words(result: CommandResult) -> str:
    """The last line the program wrote, its errors first: that is where programs say why they ended."""
    lines = [line for text in (result.stdout, result.stderr) for line in text.splitlines() if line.strip()]
    return f": {lines[-1].strip()[:MAX_LINE_CHARS]}" if lines else ""
