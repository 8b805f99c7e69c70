"""The check `chat`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labctl.checks.base import BaseCheck
from labctl.outcomes import Outcome
from labctl.target import Request, Response
from labctl.testing.target import FakeTarget, answer, completion

CheckOf = Callable[..., BaseCheck]
CAPITALS = {"France": "Paris", "Italy": "Rome", "Spain": "Madrid"}


def model(request: Request) -> Response:
    """Knows two capitals, and writes JSON when the system message asks for it."""
    asked = json.loads(request.body or b"")
    if asked["model"] != "capitals":
        return answer({"error": {"message": f"The model `{asked['model']}` does not exist."}}, status=404)
    assert asked["temperature"] == 0
    word = {**CAPITALS, "Spain": "Lisbon"}[asked["messages"][-1]["content"]]
    return completion(json.dumps({"capital": word}) if asked["messages"][0]["role"] == "system" else f" {word}\n")


@pytest.fixture
def served(tmp_path: Path) -> FakeTarget:
    return FakeTarget(folder=tmp_path, answers={("vllm", "POST", "/v1/chat/completions"): model})


def asking(**settings: Any) -> dict[str, Any]:
    return {"service": "vllm", "model": "capitals", **settings}


def test_a_reply_is_compared_and_its_latency_and_tokens_recorded(served: FakeTarget, check_of: CheckOf) -> None:
    result = check_of("chat", **asking(prompt="France", response={"equals": "Paris"})).run(served)
    assert result.outcome is Outcome.PASS
    assert result.actual == {"reply": " Paris\n", "latency_s": 0.01, "tokens": 5}


def test_a_wrong_reply_fails_with_what_was_said_and_wanted(served: FakeTarget, check_of: CheckOf) -> None:
    messages = [{"role": "user", "content": "Spain"}]
    result = check_of("chat", **asking(messages=messages, response={"contains": "Madrid"})).run(served)
    assert (result.outcome, result.message) == (
        Outcome.FAIL,
        "capitals said ' Lisbon\\n'; wanted containing 'Madrid'",
    )


def test_an_adapter_that_is_not_loaded_fails_with_the_endpoints_words(served: FakeTarget, check_of: CheckOf) -> None:
    settings = asking(prompt="France", response={"equals": "Paris"}) | {"model": "adapter"}
    result = check_of("chat", **settings).run(served)
    assert (result.outcome, "does not exist" in result.message) == (Outcome.FAIL, True)


def test_a_share_of_the_cases_may_be_wrong(served: FakeTarget, check_of: CheckOf) -> None:
    cases = [{"prompt": country, "response": {"equals": capital}} for country, capital in CAPITALS.items()]
    result = check_of("chat", **asking(cases=cases, min_pass=0.66)).run(served)
    assert (result.outcome, result.actual["passed"], result.actual["tokens"]) == (Outcome.PASS, 2, 15)
    strict = check_of("chat", **asking(cases=cases, min_pass=0.9)).run(served)
    assert strict.message == "2 of 3 replies of capitals are as wanted; wanted at least 90%"
    assert strict.actual["missed"] == [{"prompt": "Spain", "reply": " Lisbon\n", "wanted": ["equal to 'Madrid'"]}]


def test_a_reply_is_read_as_json(served: FakeTarget, check_of: CheckOf) -> None:
    wanted = {"select": "capital", "match": {"equals": "Paris"}}
    assert check_of("chat", **asking(prompt="France", system="JSON!", json=wanted)).run(served).outcome is Outcome.PASS
    plain = check_of("chat", **asking(prompt="France", json=wanted)).run(served)
    assert (plain.outcome, "wanted JSON" in plain.message) == (Outcome.FAIL, True)


def test_slow_replies_fail_where_latency_is_bounded(tmp_path: Path, check_of: CheckOf) -> None:
    slow = FakeTarget(
        folder=tmp_path, answers={("vllm", "POST", "/v1/chat/completions"): completion("Paris", duration_s=3.0)}
    )
    result = check_of("chat", **asking(prompt="France", response={"equals": "Paris"}, max_latency=1)).run(slow)
    assert (result.outcome, "not 3.00s" in result.message) == (Outcome.FAIL, True)


@pytest.mark.parametrize(
    "reply",
    [
        answer({}),
        answer([]),
        answer({"choices": []}),
        answer({"choices": [{"message": None}]}),
        answer({"choices": [{"message": {"content": None}}], "usage": None}),
        answer({"choices": [{"message": {"content": "x"}}], "usage": 5}),
        answer(text="<html>"),
        answer(text="NaN"),
        answer(text="busy", status=503),
    ],
)
def test_what_is_no_completion_fails_and_never_crashes(tmp_path: Path, check_of: CheckOf, reply: Response) -> None:
    target = FakeTarget(folder=tmp_path, answers={("vllm", "POST", "/v1/chat/completions"): reply})
    assert check_of("chat", **asking(prompt="a", response={"equals": "Paris"})).run(target).outcome is Outcome.FAIL
