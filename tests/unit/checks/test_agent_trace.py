"""The check `agent_trace`, and what a trace that was made up looks like to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from labctl.checks.base import BaseCheck
from labctl.outcomes import CheckResult, Outcome
from labctl.target import CannotLook
from labctl.testing.target import FakeTarget, answer

CheckOf = Callable[..., BaseCheck]
CALLS = [
    {"tool": "search", "arguments": {"q": "other run"}, "result": "nothing"},
    {"tool": "search", "arguments": {"q": "Rhine"}, "result": "The Rhine is 1233 km long."},
    {"tool": "add", "arguments": {"a": 1233, "b": 7}, "result": 1240},
]
WITNESS = {"service": "tools", "path": "/calls", "select": "calls"}


def step(tool: str, arguments: Any, observation: Any, thought: str = "") -> dict[str, Any]:
    thought = thought or f"I need {tool}"
    return {"thought": thought, "tool": tool, "arguments": arguments, "observation": observation}


GOOD = [
    step("search", {"q": "Rhine"}, "The Rhine is 1233 km long."),
    step("add", {"a": 1233.0, "b": 7}, "The sum is 1240"),
    {"answer": "1240 km"},
]


@pytest.fixture
def tools(target: FakeTarget) -> FakeTarget:
    return FakeTarget(folder=target.folder, answers={("tools", "GET", "/calls"): answer({"calls": CALLS})})


def looked(target: FakeTarget, check_of: CheckOf, trace: list[Any] | str, **settings: Any) -> CheckResult:
    text = trace if isinstance(trace, str) else "".join(f"{json.dumps(line)}\n" for line in trace)
    (target.folder / "trace.jsonl").write_text(text)
    return check_of("agent_trace", path="trace.jsonl", **settings).run(target)


def test_a_trace_that_its_tools_agree_with_passes(tools: FakeTarget, check_of: CheckOf) -> None:
    wanted = {"tools": ["search", "add"], "min_steps": 2, "max_steps": 2, "answer": {"contains": "1240"}}
    result = looked(tools, check_of, GOOD, witness=WITNESS, **wanted)
    assert (result.outcome, result.actual["steps"]) == (Outcome.PASS, 2), result.message


@pytest.mark.parametrize(
    ("trace", "why"),
    [
        ([step("search", {"q": "Elbe"}, "x"), GOOD[2]], 'line 1: tools saw no call search({"q": "Elbe"})'),
        ([step("search", {"q": "Rhine"}, "1000 km"), GOOD[2]], "gave 'The Rhine is 1233 km long.', not '1000 km'"),
        ([GOOD[1], GOOD[0], GOOD[2]], 'line 2: search({"q": "Rhine"}) was called earlier than the steps before it'),
        ([GOOD[0], GOOD[0], GOOD[2]], "was called earlier than the steps before it"),
        ([step("add", {"a": 1233, "b": True}, 1240), GOOD[2]], "tools saw no call add"),
    ],
    ids=["invented", "other result", "other order", "twice", "true is not 1"],
)
def test_a_step_that_the_tools_never_saw_fails(
    tools: FakeTarget, check_of: CheckOf, trace: list[Any], why: str
) -> None:
    result = looked(tools, check_of, trace, witness=WITNESS)
    assert (result.outcome, why in result.message) == (Outcome.FAIL, True), result.message


def test_only_the_tools_of_the_service_are_compared(tools: FakeTarget, check_of: CheckOf) -> None:
    trace = [GOOD[0], step("clock", {}, "12:00"), GOOD[1], GOOD[2]]
    assert looked(tools, check_of, trace, witness={**WITNESS, "tools": ["search", "add"]}).outcome is Outcome.PASS
    assert "saw no call clock" in looked(tools, check_of, trace, witness=WITNESS).message


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"tools": ["search", "lookup"]}, "the tool lookup is not used"),
        ({"min_steps": 3}, "2 steps; wanted at least 3"),
        ({"max_steps": 1}, "2 steps; wanted at most 1"),
        ({"answer": {"equals": "7"}}, "the answer is '1240 km'; wanted equal to '7'"),
    ],
)
def test_what_is_wanting_is_named(target: FakeTarget, check_of: CheckOf, settings: dict[str, Any], why: str) -> None:
    result = looked(target, check_of, GOOD, **settings)
    assert (result.outcome, why in result.message) == (Outcome.FAIL, True), result.message


def test_thoughts_that_are_all_the_same_are_none(target: FakeTarget, check_of: CheckOf) -> None:
    trace = [step("search", {}, "a", "hm"), step("add", {}, "b", "hm"), {"answer": 1}]
    assert "every step has the same thought, 'hm'" in looked(target, check_of, trace).message


@pytest.mark.parametrize(
    ("trace", "why"),
    [
        ("", "trace.jsonl is empty"),
        ("\n\n", "trace.jsonl is empty"),
        ('{"answer": 1\n', "trace.jsonl, line 1 is not JSON"),
        ("[1]\n", "trace.jsonl, line 1 is [1]; wanted an object"),
        ([GOOD[0]], "line 1: the last line must hold the answer"),
        ([GOOD[0], {"answer": " "}], "line 2: the last line must hold the answer"),
        ([{"answer": 1}, {"answer": 2}], "line 1 has no `thought`"),
        ([{**GOOD[0], "thought": ""}, GOOD[2]], "line 1: `thought` is empty"),
        ([{**GOOD[0], "observation": None}, GOOD[2]], "line 1: `observation` is empty"),
        ([{**GOOD[0], "arguments": "q"}, GOOD[2]], "line 1: `arguments` is 'q'; wanted an object"),
        ([{**GOOD[0], "tool": 1}, GOOD[2]], "line 1: `tool` is 1; wanted a text"),
        ('{"answer": NaN}', "is not JSON"),
        ("[" * 100_000, "is nested too deeply"),
        ('{"answer": 1}\n' * 1001, "1001 lines"),
    ],
)
def test_what_is_no_trace_fails_with_its_line(
    target: FakeTarget, check_of: CheckOf, trace: list[Any] | str, why: str
) -> None:
    result = looked(target, check_of, trace)
    assert (result.outcome, why in result.message) == (Outcome.FAIL, True), result.message


def test_values_too_deep_to_compare_fail(tools: FakeTarget, check_of: CheckOf) -> None:
    deep: Any = "x"
    for _ in range(700):
        deep = [deep]
    calls = [{"tool": "search", "arguments": {"q": deep}, "result": 1}]
    there = FakeTarget(folder=tools.folder, answers={("tools", "GET", "/calls"): answer({"calls": calls})})
    result = looked(there, check_of, [step("search", {"q": deep}, "1"), {"answer": 1}], witness=WITNESS)
    assert result.outcome in (Outcome.FAIL, Outcome.PASS)


@pytest.mark.parametrize("body", [None, [1], {"calls": 3}, {"calls": [{"name": "search"}]}])
def test_a_witness_that_says_no_calls_is_named(target: FakeTarget, check_of: CheckOf, body: Any) -> None:
    there = FakeTarget(folder=target.folder, answers={("tools", "GET", "/calls"): answer(body)})
    assert "wanted a list of {tool, arguments, result}" in looked(there, check_of, GOOD, witness=WITNESS).message


def test_a_witness_that_does_not_answer_leaves_it_open(target: FakeTarget, check_of: CheckOf) -> None:
    with pytest.raises(CannotLook):
        looked(target, check_of, GOOD, witness=WITNESS)
