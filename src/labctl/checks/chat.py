"""`chat`: what a served model answers."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from labctl.checks.base import BaseCheck, Model, NonEmpty, Unmet
from labctl.checks.completion import Endpoint, Reply, as_messages
from labctl.checks.documents import Selector, parse_json, select
from labctl.checks.match import Match
from labctl.outcomes import CheckResult
from labctl.target import Target


class Message(Model):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    """Who says it."""
    content: str
    """What is said."""


class JsonReply(Model):
    """The reply read as JSON."""

    select: Selector | None = None
    """A JMESPath expression; the whole value when left out."""
    match: Match
    """What the selected value must be."""


class Asked(Model):
    """A question to the model and what its reply must be."""

    prompt: NonEmpty | None = None
    """What the user says."""
    messages: Annotated[list[Message], Field(min_length=1)] | None = None
    """A whole conversation, in place of `prompt`."""
    response: Match | None = None
    """What the reply's text must be."""
    json_reply: JsonReply | None = Field(default=None, alias="json")
    """The reply must be JSON, and this must hold of it."""

    def question(self, system: str | None) -> list[dict[str, str]]:
        said = self.prompt if self.prompt is not None else [m.model_dump() for m in self.messages or ()]
        return [dict(message) for message in as_messages(said, system)]

    def unmet(self, reply: Reply) -> list[str]:
        """What is wanted of the reply and not so."""
        text = reply.text.strip()
        unmet = self.response.unmet(text) if self.response else []
        if self.json_reply:
            try:
                value = select(self.json_reply.select, parse_json(text.encode("utf-8", "replace"), "it"), "it")
            except Unmet as why:
                return [*unmet, f"JSON ({why})"]
            name = self.json_reply.select or "the value"
            unmet = unmet + [f"{name} {wish}" for wish in self.json_reply.match.unmet(value)]
        return unmet


class Case(Asked):
    """One question of several."""

    @model_validator(mode="after")
    def _is_complete(self) -> Case:
        _require_question(self)
        return self


class ChatCheck(Asked, BaseCheck):
    """Questions to an OpenAI-compatible endpoint at temperature 0, and what the replies must be."""

    kind: Literal["chat"] = "chat"
    service: NonEmpty
    """The service that serves the model."""
    port: str | None = None
    """Which of its ports; the first one when left out."""
    path: str = Field(default="/v1/chat/completions", pattern=r"^/")
    """Where the endpoint is."""
    headers: dict[str, str] = {}
    """For example an Authorization header with the API key."""
    model: NonEmpty
    """The model's or the adapter's name at the endpoint."""
    system: str | None = None
    """The system message put before each question."""
    max_tokens: int = Field(default=128, ge=1)
    """Where a reply is cut."""
    cases: Annotated[list[Case], Field(min_length=1)] | None = None
    """Several questions, in place of one; `timeout` is for all of them together."""
    min_pass: float = Field(default=1.0, gt=0, le=1)
    """The share of the cases that must be as wanted."""
    max_latency: float | None = Field(default=None, gt=0)
    """Seconds that the median reply may take."""

    @model_validator(mode="after")
    def _one_or_many(self) -> ChatCheck:
        if self.cases is None:
            _require_question(self)
        elif self.model_fields_set & set(Asked.model_fields):
            raise ValueError("with cases, prompt, messages, response and json belong into each case")
        return self

    def look(self, target: Target) -> CheckResult:
        answers = list(self._answers(target))
        passed = sum(not answer.unmet for answer in answers)
        latency = statistics.median(answer.reply.latency_s for answer in answers)
        seen = {"latency_s": round(latency, 3), "tokens": sum(answer.reply.tokens or 0 for answer in answers)}
        if self.cases is None:
            return self._judged(answers[0].unmet, f"{self.model} said {answers[0].reply.text[:200]!r}", answers, seen)
        share = f"{passed} of {len(answers)} replies of {self.model} are as wanted"
        unmet = [] if passed >= self.min_pass * len(answers) - 1e-9 else [f"at least {self.min_pass:.0%}"]
        return self._judged(unmet, share, answers, {"passed": passed, "of": len(answers), **seen})

    def _answers(self, target: Target) -> Iterator[Answer]:
        endpoint = Endpoint(service=self.service, port=self.port, path=self.path, headers=self.headers)
        deadline = time.monotonic() + self.timeout
        cases: Sequence[Asked] = self.cases or [self]
        for done, case in enumerate(cases):
            left = deadline - time.monotonic()
            if left <= 0:
                raise Unmet(f"{done} of {len(cases)} questions were answered within {self.timeout:g}s")
            question = case.question(self.system)
            reply = endpoint.ask(
                target, self.model, question, timeout_s=left, temperature=0, max_tokens=self.max_tokens
            )
            yield Answer(question=question[-1]["content"], reply=reply, unmet=case.unmet(reply))

    def _judged(self, unmet: list[str], text: str, answers: list[Answer], seen: dict[str, Any]) -> CheckResult:
        if self.max_latency is not None and seen["latency_s"] > self.max_latency:
            unmet = [*unmet, f"a median reply within {self.max_latency:g}s, not {seen['latency_s']:.2f}s"]
        if not unmet:
            return self.passed(text, actual={"reply": answers[0].reply.text[:500], **seen})
        missed = [answer.to_json() for answer in answers if answer.unmet][:3]
        return self.failed(f"{text}; wanted {'; '.join(unmet)}", expected=unmet, actual={**seen, "missed": missed})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A reply beside its question and what is wanting in it."""

    question: str
    reply: Reply
    unmet: list[str]

    def to_json(self) -> dict[str, Any]:
        return {"prompt": self.question[:300], "reply": self.reply.text[:300], "wanted": self.unmet}


def _require_question(asked: Asked) -> None:
    if (asked.prompt is None) == (asked.messages is None):
        raise ValueError("give exactly one of prompt or messages (or cases, each with its own)")
    if asked.response is None and asked.json_reply is None:
        raise ValueError("say what the reply must be: response, json or both")
