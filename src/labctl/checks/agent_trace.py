"""`agent_trace`: what an agent wrote down of its run, and what its tools saw of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, model_validator

from labctl.checks.base import BaseCheck, NonEmpty, Unmet, WorkspacePath
from labctl.checks.documents import Selector, brief, parse_json, read_text, select
from labctl.checks.match import Match, as_number
from labctl.checks.request import RequestFields, require_status
from labctl.outcomes import CheckResult
from labctl.target import Target

MAX_TRACE_BYTES = 4 * 1024 * 1024
MAX_STEPS = 1000
MAX_CALLS = 10_000
MAX_SHOWN = 3


class Witness(RequestFields):
    """The calls that the tools' service really saw."""

    service: NonEmpty
    """The service that runs the tools."""
    select: Selector | None = None
    """A JMESPath expression that makes a list of {tool, arguments, result} of its JSON answer, in the order of the calls."""
    tools: list[NonEmpty] = []
    """Which tools the service runs; the steps of others are not compared. All when left out."""


class AgentTraceCheck(BaseCheck):
    """An agent's trace in JSON lines: its steps, the tools they used, the answer, and that the tools saw these calls.

    One line a step, {"thought", "tool", "arguments", "observation"}, more keys allowed, and a last line {"answer"}.
    """

    kind: Literal["agent_trace"] = "agent_trace"
    path: WorkspacePath
    """The trace, at most 4 MiB."""
    tools: list[NonEmpty] = []
    """Tools that must be used; others may be."""
    min_steps: int = Field(default=1, ge=0)
    """The fewest steps, the answer not counted."""
    max_steps: int | None = Field(default=None, ge=0)
    """The most steps, the answer not counted."""
    answer: Match | None = None
    """What the answer must be."""
    witness: Witness | None = None
    """Where the calls that really happened are asked for: every step must be among them, in order, with its result."""

    @model_validator(mode="after")
    def _steps_are_possible(self) -> AgentTraceCheck:
        if self.max_steps is not None and self.max_steps < max(self.min_steps, len(set(self.tools))):
            raise ValueError(f"max_steps {self.max_steps} is less than min_steps, or than the tools to be used")
        return self

    def look(self, target: Target) -> CheckResult:
        try:
            return self._looked(target)
        except RecursionError:
            raise Unmet(f"{self.path} holds values nested too deeply to compare") from None

    def _looked(self, target: Target) -> CheckResult:
        steps, answer = read_trace(target, self.path)
        seen = {"steps": len(steps), "tools": [step.tool for step in steps][:100], "answer": answer}
        unmet = [*self._steps_unmet(steps), *self._answer_unmet(answer)]
        if self.witness is not None:
            unmet += _unseen(self.witness, steps, _calls(target, self.witness, self.timeout))[:MAX_SHOWN]
        if unmet:
            return self.failed(f"{self.path}: {'; '.join(unmet)}", expected=unmet, actual=seen)
        return self.passed(f"{self.path}: {len(steps)} steps, and the answer {brief(answer)}", actual=seen)

    def _steps_unmet(self, steps: Sequence[Step]) -> list[str]:
        count, used = len(steps), {step.tool for step in steps}
        unmet = [f"the tool {name} is not used" for name in self.tools if name not in used]
        if count < self.min_steps:
            unmet.append(f"{count} steps; wanted at least {self.min_steps}")
        if self.max_steps is not None and count > self.max_steps:
            unmet.append(f"{count} steps; wanted at most {self.max_steps}")
        if count > 1 and len({step.thought for step in steps}) == 1:
            unmet.append(f"every step has the same thought, {steps[0].thought[:80]!r}")
        return unmet

    def _answer_unmet(self, answer: Any) -> list[str]:
        unmet = self.answer.unmet(answer) if self.answer else []
        return [f"the answer is {brief(answer)}; wanted {' and '.join(unmet)}"] if unmet else []


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One call of a tool. `line` counts from 1."""

    line: int
    thought: str
    tool: str
    arguments: Mapping[str, Any]
    observation: Any

    def called(self) -> str:
        return f"{self.tool}({brief(dict(self.arguments))})"


def read_trace(target: Target, path: str) -> tuple[list[Step], Any]:
    """The steps and the answer. Unmet, with the line's number, for anything that is no trace."""
    text = read_text(target, path, MAX_TRACE_BYTES)
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if not lines:
        raise Unmet(f"{path} is empty")
    if len(lines) > MAX_STEPS:
        raise Unmet(f"{path} has {len(lines)} lines; at most {MAX_STEPS} are looked at")
    *steps, (last, line) = lines
    ending = _object(line, f"{path}, line {last}")
    if _is_open(ending.get("answer")):
        raise Unmet(f'{path}, line {last}: the last line must hold the answer, {{"answer": …}}')
    return [_step(line, number, path) for number, line in steps], ending["answer"]


def _step(line: str, number: int, path: str) -> Step:
    place = f"{path}, line {number}"
    value = _object(line, place)
    for key, kind in {"thought": str, "tool": str, "arguments": dict, "observation": object}.items():
        if key not in value:
            raise Unmet(f"{place} has no `{key}`; a step is a thought, a tool, its arguments and the observation")
        if not isinstance(value[key], kind):
            raise Unmet(f"{place}: `{key}` is {brief(value[key])}; wanted {_KINDS[kind]}")
        if key != "arguments" and _is_open(value[key]):
            raise Unmet(f"{place}: `{key}` is empty")
    names = ("thought", "tool", "arguments", "observation")
    return Step(line=number, **{name: value[name] for name in names})


_KINDS: Mapping[type, str] = {str: "a text", dict: "an object"}


def _object(line: str, place: str) -> dict[str, Any]:
    value = parse_json(line.encode(), place)
    if not isinstance(value, dict):
        raise Unmet(f"{place} is {brief(value)}; wanted an object")
    return value


def _is_open(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _calls(target: Target, witness: Witness, timeout_s: float) -> list[dict[str, Any]]:
    """What the service says it was asked, oldest first."""
    asked = f"{witness.service}: {witness.asked()}"
    response = target.request(witness.request_to(witness.service, timeout_s))
    require_status(response, 200, asked)
    calls = select(witness.select, parse_json(response.body, f"the answer to {asked}"), f"the answer to {asked}")
    if not isinstance(calls, list) or not all(isinstance(call, dict) and "tool" in call for call in calls):
        raise Unmet(f"{asked} answered {brief(calls)}; wanted a list of {{tool, arguments, result}}")
    return calls[-MAX_CALLS:]


def _unseen(witness: Witness, steps: Sequence[Step], calls: Sequence[Mapping[str, Any]]) -> list[str]:
    """Steps that did not happen so. The calls may hold more than the steps, but not in another order."""
    unseen, start = [], 0
    for step in steps:
        if witness.tools and step.tool not in witness.tools:
            continue
        made = [index for index, call in enumerate(calls) if _is_call(step, call)]
        right = [index for index in made if _agrees(step.observation, calls[index].get("result"))]
        later = [index for index in right if index >= start]
        if later:
            start = later[0] + 1
        elif right:
            unseen.append(f"line {step.line}: {step.called()} was called earlier than the steps before it")
        elif made:
            result = brief(calls[made[-1]].get("result"))
            unseen.append(f"line {step.line}: {step.called()} gave {result}, not {brief(step.observation)}")
        else:
            unseen.append(f"line {step.line}: {witness.service} saw no call {step.called()}")
    return unseen


def _is_call(step: Step, call: Mapping[str, Any]) -> bool:
    return call.get("tool") == step.tool and _same(step.arguments, call.get("arguments") or {})


def _agrees(observation: Any, result: Any) -> bool:
    """Whether the observation is the result, as a value or as text, or holds it among other words."""
    if _same(observation, result):
        return True
    if not isinstance(observation, str):
        return False
    texts = (
        [result]
        if isinstance(result, str)
        else [json.dumps(result), json.dumps(result, ensure_ascii=False), str(result)]
    )
    return any(text.strip() and text.strip() in observation for text in texts)


def _same(one: Any, other: Any) -> bool:
    """Equality of JSON values: 1 is 1.0, true is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, int | float) and isinstance(other, int | float):
        return isinstance(one, bool) is isinstance(other, bool) and as_number(one) == as_number(other) and one == other
    return type(one) is type(other) and bool(one == other)
