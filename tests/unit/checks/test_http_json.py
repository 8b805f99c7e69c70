"""The checks `http` and `json`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labctl.checks.base import BaseCheck
from labctl.outcomes import Outcome
from labctl.target import CannotLook, RefusedPath, Request, Response, Unreachable
from labctl.testing.target import Answer, FakeTarget, answer

CheckOf = Callable[..., BaseCheck]


def serving(folder: Path, answers: dict[tuple[str, str, str], Answer]) -> FakeTarget:
    return FakeTarget(folder=folder, answers=answers, learner_services=frozenset({"api"}))


def test_a_request_carries_its_json_and_its_answer_is_compared(tmp_path: Path, check_of: CheckOf) -> None:
    asked: list[Request] = []

    def echo(request: Request) -> Response:
        asked.append(request)
        return answer({"label": "positive"}, status=201)

    target = serving(tmp_path, {("api", "POST", "/predict"): echo})
    check = check_of(
        "http",
        service="api",
        path="/predict?x=1",
        method="POST",
        json={"text": "hi"},
        status=[200, 201],
        content_type="application/json",
        text={"contains": "positive"},
        timeout="5s",
    )
    result = check.run(target)
    assert result.outcome is Outcome.PASS
    assert (json.loads(asked[0].body or b""), asked[0].timeout_s) == ({"text": "hi"}, 5.0)
    assert asked[0].headers["content-type"] == "application/json"


def test_each_difference_of_an_answer_is_named(tmp_path: Path, check_of: CheckOf) -> None:
    target = serving(tmp_path, {("api", "GET", "/"): answer(text="no", status=500, duration_s=2.0)})
    check = check_of(
        "http",
        service="api",
        content_type="application/json",
        expect_headers={"x-id": {"matches": "."}},
        text={"contains": "yes"},
        max_latency=1,
    )
    result = check.run(target)
    assert result.outcome is Outcome.FAIL
    assert len(result.expected) == 5
    assert "status 200" in result.message


def test_an_answer_that_is_no_utf8_is_still_shown(tmp_path: Path, check_of: CheckOf) -> None:
    raw = Response(status=200, headers={}, body=b"\xff\xfe\x00", duration_s=0.1)
    result = check_of("http", service="api", text={"contains": "a"}).run(serving(tmp_path, {("api", "GET", "/"): raw}))
    assert result.outcome is Outcome.FAIL


def test_who_does_not_answer_decides_between_failure_and_error(tmp_path: Path, check_of: CheckOf) -> None:
    target = serving(tmp_path, {})
    with pytest.raises(Unreachable):
        check_of("http", service="api").run(target)
    with pytest.raises(CannotLook):
        check_of("http", service="vllm").run(target)


def test_a_value_is_selected_from_a_file(target: FakeTarget, check_of: CheckOf) -> None:
    (target.folder / "run.json").write_text('{"log": [{"loss": 6.5}, {"loss": 0.06}]}')
    check = check_of("json", file="run.json", select="log[-1].loss", match={"lt": 0.1})
    assert (check.run(target).outcome, check.run(target).actual) == (Outcome.PASS, 0.06)
    worse = check_of("json", file="run.json", select="log[0].loss", match={"lt": 0.1}).run(target)
    assert (worse.outcome, worse.message) == (Outcome.FAIL, "log[0].loss in run.json is 6.5; wanted < 0.1")


def test_a_value_is_selected_from_an_answer(tmp_path: Path, check_of: CheckOf) -> None:
    target = serving(tmp_path, {("api", "GET", "/v1/models"): answer({"data": [{"id": "capitals"}]})})
    settings: dict[str, Any] = {"service": "api", "select": "data[].id", "match": {"contains": "capitals"}}
    assert check_of("json", path="/v1/models", **settings).run(target).outcome is Outcome.PASS
    refused = serving(tmp_path, {("api", "GET", "/v1/models"): answer({"detail": "no"}, status=401)})
    result = check_of("json", path="/v1/models", **settings).run(refused)
    assert (result.outcome, "answered 401" in result.message) == (Outcome.FAIL, True)


def test_a_cut_answer_is_not_taken_for_the_whole(tmp_path: Path, check_of: CheckOf) -> None:
    cut = dataclasses.replace(answer([1, 2]), truncated=True)
    result = check_of("json", service="api", match={"min_length": 2}).run(serving(tmp_path, {("api", "GET", "/"): cut}))
    assert (result.outcome, "more than" in result.message) == (Outcome.FAIL, True)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"{", "is not JSON"),
        (b"", "is not JSON"),
        (b'{"loss": NaN}', "it holds NaN"),
        (b'{"loss": -Infinity}', "it holds -Infinity"),
        (b'"\xff\xfe"', "is not JSON"),
        (b"9" * 5000, "is not JSON"),
        (b"[" * 200_000, "nested too deeply"),
        (b"[" + b"0," * (9 * 1024 * 1024) + b"0]", "larger than"),
        (b'{"loss": null}', "null"),
        (b'{"loss": "low"}', "'low'"),
        (b"[]", "run.json is [], which has no `loss`"),
        (b'{"los": 1, "step": 2}', "run.json has no `loss`; it has los, step; wanted < 1"),
        (b"{}", "run.json has no `loss`; it has nothing"),
    ],
    ids=[
        "cut",
        "empty",
        "nan",
        "infinity",
        "binary",
        "digits",
        "deep",
        "huge",
        "null",
        "word",
        "list",
        "other",
        "none",
    ],
)
def test_a_bad_file_fails_with_its_reason(target: FakeTarget, check_of: CheckOf, content: bytes, why: str) -> None:
    (target.folder / "run.json").write_bytes(content)
    result = check_of("json", file="run.json", select="loss", match={"lt": 1}).run(target)
    assert (result.outcome, why in result.message) == (Outcome.FAIL, True), result.message


def test_the_request_is_named_with_its_body_cut_and_visible(tmp_path: Path, check_of: CheckOf) -> None:
    target = serving(tmp_path, {("api", "POST", "/analyze"): answer({"label": 1})})
    ask: dict[str, Any] = {"service": "api", "path": "/analyze", "method": "POST", "status": 422}
    blank = check_of("http", **ask, json={"text": " \n\t\x1b\u2028"}).run(target)
    assert blank.message == ('POST /analyze {"text": " \\n\\t\\u001b\\u2028"} answered 200; wanted status 422')
    long = check_of("http", **ask, json={"text": ["nice " * 400]}).run(target)
    assert 'POST /analyze {"text": ["nice nice nice nice … (2000 characters)"]} answered' in long.message
    raw = check_of("http", **ask, body="text=\r" + "x" * 100).run(target)
    assert f"POST /analyze text=\\r{'x' * 53}… answered 200" in raw.message


def test_a_crash_is_shown_with_the_end_of_the_services_log(tmp_path: Path, check_of: CheckOf) -> None:
    broken = {("api", "GET", "/"): answer({}, status=500)}
    log = "started\n\nTraceback (most recent call last):\n  File app.py\n\nKeyError: 'text'\n"
    target = FakeTarget(folder=tmp_path, answers=broken, service_logs={"api": log})
    tail = "\nthe log of api ends with:\n  Traceback (most recent call last):\n    File app.py\n  KeyError: 'text'"
    result = check_of("http", service="api", status=[404, 422]).run(target)
    assert result.message == f"GET / answered 500; wanted status 404 or 422{tail}"
    assert check_of("json", service="api", match={"equals": 1}).run(target).message.endswith(tail)
    assert "log" not in check_of("http", service="api", status=503).run(target).message
    without = FakeTarget(folder=tmp_path, answers=broken)
    assert check_of("http", service="api").run(without).message == "GET / answered 500; wanted status 200"


@pytest.mark.parametrize(
    ("select", "why"),
    [
        ("data[].id", '[].id in run.json is ["base"]; wanted equal to 1'),
        ("data[0].name", "data[0] in run.json has no `name`; it has id, size; wanted equal to 1"),
        ("data[0].size", "data[0].size in run.json is null; wanted equal to 1"),
        ("data[0].id.x", "data[0].id in run.json is 'base', which has no `x`; wanted equal to 1"),
        ("data[7].id", "data[7] in run.json is null, which has no `id`; wanted equal to 1"),
    ],
)
def test_what_is_there_instead_is_shown(target: FakeTarget, check_of: CheckOf, select: str, why: str) -> None:
    (target.folder / "run.json").write_text('{"data": [{"id": "base", "size": null}]}')
    assert check_of("json", file="run.json", select=select, match={"equals": 1}).run(target).message.endswith(why)


def test_a_long_list_is_counted_instead_of_shown(target: FakeTarget, check_of: CheckOf) -> None:
    (target.folder / "run.json").write_text(json.dumps(list(range(300))))
    result = check_of("json", file="run.json", match={"max_length": 5}).run(target)
    assert result.message == "run.json is a list of 300; wanted at most 5 long"


def test_a_selection_that_does_not_fit_the_value_fails(target: FakeTarget, check_of: CheckOf) -> None:
    (target.folder / "run.json").write_text('{"log": 5}')
    result = check_of("json", file="run.json", select="length(log)", match={"ge": 1}).run(target)
    assert (result.outcome, "cannot be applied" in result.message) == (Outcome.FAIL, True)


def test_a_missing_file_and_a_folder_are_named(target: FakeTarget, check_of: CheckOf) -> None:
    check = check_of("json", file="out/run.json", match={"ge": 1})
    assert check.run(target).message == "there is no file out/run.json"
    (target.folder / "out/run.json").mkdir(parents=True)
    assert "is a folder" in check.run(target).message


def test_a_link_out_of_the_workspace_is_not_followed(target: FakeTarget, check_of: CheckOf, tmp_path: Path) -> None:
    (tmp_path / "solution.json").write_text("1")
    (target.folder / "run.json").symlink_to(tmp_path / "solution.json")
    with pytest.raises(RefusedPath):
        check_of("json", file="run.json", match={"equals": 1}).run(target)
