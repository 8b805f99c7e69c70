"""What the tests of this folder share: the learner's agents, run in the session, and what their tools really saw."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

Row = dict[str, Any]
CENT = 0.011
_SYLLABLES = ("ba", "dor", "fel", "gan", "kir", "lom", "mer", "nu", "pol", "rav", "sil", "tu", "vor", "zen")


class Chance(random.SystemRandom):
    """Names that nobody can have asked for before."""

    def word(self, syllables: int = 4) -> str:
        return "".join(self.choices(_SYLLABLES, k=syllables))

    def city(self) -> str:
        return self.word().capitalize()

    def order(self) -> str:
        return f"{self.choice('ABCDEFGH')}{self.randrange(100, 1000)}"

    def address(self) -> str:
        return f"{self.word()}@example.org"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """An agent's answer, its trace, and the calls that the tools' service saw while all tasks of the check were worked on."""

    answer: str
    steps: Sequence[Row] = ()
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """Calls in the order in which the service saw them, other checks' among them: they run at the same time."""

    calls: Sequence[Row]

    def about(self, *words: str) -> list[Row]:
        """The calls in whose arguments one of the words occurs."""
        return [call for call in self.calls if any(word in json.dumps(call["arguments"]) for word in words)]

    def of(self, tool: str, **arguments: str) -> list[Row]:
        """The calls of this tool whose arguments begin so."""
        return [
            call
            for call in self.calls
            if call["tool"] == tool
            and isinstance(call["arguments"], dict)
            and all(str(call["arguments"].get(name, "")).startswith(value) for name, value in arguments.items())
        ]

    def result(self, tool: str, **arguments: str) -> Row:
        """What the last of these calls brought; the test fails when there is none that brought anything."""
        brought = [call["result"] for call in self.of(tool, **arguments) if call["status"] == 200]
        told = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        assert brought, f"the tools' service saw no successful call of {tool}({told})"
        return brought[-1]


@pytest.fixture(scope="session")
def chance() -> Chance:
    return Chance()


@pytest.fixture(scope="session")
def calls(service: Any) -> Callable[[], list[Row]]:
    """A function that asks the tools' service what it saw so far."""
    return lambda: service("tools").get("/calls").json()["calls"]


@pytest.fixture(scope="session")
def work(workspace: Any, calls: Any, parameters: Mapping[str, Any]) -> Callable[..., tuple[list[Run], Witness]]:
    """A function from a kind of agent and its tasks to what came of them, and what the tools saw meanwhile."""

    def run(kind: str, *tasks: Row) -> tuple[list[Run], Witness]:
        before = len(calls())
        script, given = f"{parameters['lab']}/checks/drive.py", json.dumps({"tasks": tasks})
        done = workspace.run("python", "-B", script, kind, stdin=given, timeout=400)
        assert not done.timed_out, "the agent was still at work after 400 seconds and was ended"
        assert done.exit_code == 0, f"the agent could not be run: {done.stderr.strip()[-300:]}"
        runs = [_run(task, found) for task, found in zip(tasks, json.loads(done.stdout), strict=True)]
        return runs, Witness(calls=calls()[before:])

    return run


def _run(task: Row, found: Row) -> Run:
    assert "error" not in found, f"{task['task']!r}: {found['error']}"
    answer = found.get("answer")
    assert isinstance(answer, str) and answer.strip(), f"{task['task']!r}: no answer, but {answer!r}"  # noqa: PT018
    steps = _steps(task, found["trace"], answer) if "trace" in found else ()
    return Run(answer=answer, steps=steps, more=found)


def _steps(task: Row, trace: str | None, answer: str) -> list[Row]:
    """The trace's steps; the test fails for one that is none."""
    assert trace, f"{task['task']!r}: no trace was written where `trace` says"
    try:
        *steps, last = [json.loads(line) for line in trace.splitlines() if line.strip()]
    except ValueError:
        raise AssertionError(f"{task['task']!r}: the trace is no JSON lines") from None
    assert isinstance(last, dict), "the last line of the trace is no object"
    assert last.get("answer") == answer, "the last line of the trace is not the answer that run returned"
    for number, step in enumerate(steps, start=1):
        for key, kind in {"thought": str, "tool": str, "arguments": dict, "observation": str}.items():
            assert isinstance(step, dict) and isinstance(step.get(key), kind), (  # noqa: PT018
                f"line {number} of a trace: `{key}` is to be a {kind.__name__}"
            )
        assert step["thought"].strip(), f"line {number} of a trace has no thought"
        assert step["observation"].strip(), f"line {number} of a trace has no observation"
    return steps


def _holds(task: str, answer: str, *values: Any) -> None:
    """Fails unless the answer has each text and each number."""
    for value in values:
        there = (
            value.lower() in answer.lower()
            if isinstance(value, str)
            else any(abs(number - value) < CENT for number in _numbers(answer))
        )
        assert there, f"{task!r} was answered {answer[:200]!r}, which is not what the tools told"


def _numbers(text: str) -> list[float]:
    return [float(found.replace(",", "")) for found in re.findall(r"-?\d[\d,]*(?:\.\d+)?", text)]


def _sent(seen: Any, to: str, weather: dict[str, Any]) -> None:
    """Fails unless one email went to this address, with the weather in it."""
    mails = [call for call in seen.of("send_email", to=to) if call["status"] == 200]
    assert len(mails) == 1, f"{len(mails)} emails were sent to {to}; wanted one"
    body = mails[0]["arguments"]["body"]
    _holds("the email", body, weather["sky"], weather["celsius"])


@pytest.fixture(scope="session")
def holds() -> Callable[..., None]:
    return _holds


@pytest.fixture(scope="session")
def sent() -> Callable[..., None]:
    return _sent


@pytest.fixture(scope="session")
def numbers() -> Callable[[str], list[float]]:
    return _numbers
