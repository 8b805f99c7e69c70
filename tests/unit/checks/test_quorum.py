"""The check `quorum`."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from labctl.checks.base import BaseCheck
from labctl.errors import LabFileError
from labctl.labs.lab import load_folder
from labctl.labs.schema import lab_schema
from labctl.outcomes import Outcome
from labctl.planning import declared_layout, plan
from labctl.target import CannotLook, Request, Response
from labctl.testing.target import FakeTarget, answer
from tests.conftest import LAB

CheckOf = Callable[..., BaseCheck]
PASS: dict[str, Any] = {"file": {"path": "here.txt"}}
FAIL: dict[str, Any] = {"file": {"path": "nowhere.txt"}}
ERROR: dict[str, Any] = {"http": {"service": "nobody"}}
UNREACHABLE: dict[str, Any] = {"http": {"service": "mine"}}
REFUSED: dict[str, Any] = {"json": {"file": "link.json", "match": {"equals": 1}}}


@pytest.fixture
def session(target: FakeTarget, tmp_path: Path) -> FakeTarget:
    (target.folder / "here.txt").write_text("yes")
    (tmp_path / "outside.json").write_text("1")
    (target.folder / "link.json").symlink_to(tmp_path / "outside.json")
    return FakeTarget(folder=target.folder, learner_services=frozenset({"mine"}))


@pytest.mark.parametrize(
    ("at_least", "checks", "outcome"),
    [
        (2, [PASS, PASS, FAIL], "pass"),
        (2, [FAIL, PASS, PASS], "pass"),
        (1, [FAIL, ERROR, PASS], "pass"),
        (2, [PASS, FAIL, FAIL], "fail"),
        (2, [PASS, ERROR, FAIL], "error"),
        (3, [PASS, ERROR, FAIL], "fail"),
        (1, [ERROR, ERROR], "error"),
        (1, [UNREACHABLE, REFUSED], "fail"),
    ],
)
def test_enough_must_pass_and_what_could_not_be_looked_at_may_have(
    session: FakeTarget, check_of: CheckOf, at_least: int, checks: list[Any], outcome: str
) -> None:
    check = check_of("quorum", at_least=at_least, checks=checks)
    if outcome == "error":
        with pytest.raises(CannotLook, match=f"wanted at least {at_least}: (.|\n)*nobody does not answer"):
            check.run(session)
    else:
        assert str(check.run(session).outcome) == outcome


def test_the_results_of_the_checks_are_shown(session: FakeTarget, check_of: CheckOf) -> None:
    result = check_of("quorum", at_least=2, checks=[PASS, FAIL, UNREACHABLE]).run(session)
    assert result.message == (
        "1 of 3 passed; wanted at least 2: file: there is no nowhere.txt; http: no answer: mine does not answer GET /"
    )
    assert [one["outcome"] for one in result.actual] == ["pass", "fail", "fail"]
    assert result.actual[0]["kind"] == "file"


def counting(folder: Path, *statuses: int) -> tuple[FakeTarget, list[int]]:
    """A service that answers with these statuses in turn, and how often it was asked."""
    asked: list[int] = []
    turns = itertools.cycle(statuses)

    def turn(request: Request) -> Response:
        asked.append(next(turns))
        return answer({}, status=asked[-1])

    return FakeTarget(folder=folder, answers={("api", "GET", "/"): turn}), asked


def test_one_check_is_looked_at_until_it_passed_often_enough(tmp_path: Path, check_of: CheckOf) -> None:
    check = check_of("quorum", at_least=2, times=3, check={"http": {"service": "api"}})
    target, asked = counting(tmp_path, 500, 200, 200)
    assert (check.run(target).outcome, asked) == (Outcome.PASS, [500, 200, 200])
    target, asked = counting(tmp_path, 200)
    assert (check.run(target).message, len(asked)) == ("2 of 2 passed", 2)
    target, asked = counting(tmp_path, 500, 500, 200)
    result = check.run(target)
    assert (result.outcome, len(asked)) == (Outcome.FAIL, 3)
    assert result.message.count("answered 500") == 1


def test_each_check_keeps_to_its_own_retry(tmp_path: Path, check_of: CheckOf) -> None:
    target, asked = counting(tmp_path, 500, 500, 200)
    check = check_of("quorum", at_least=1, checks=[{"http": {"service": "api", "retry": "30s"}}])
    assert (check.run(target).outcome, len(asked)) == (Outcome.PASS, 3)


def test_a_check_that_hangs_is_left_behind_at_its_own_timeout(tmp_path: Path, check_of: CheckOf) -> None:
    released = threading.Event()

    def hang(request: Request) -> Response:
        released.wait(60)
        return answer({})

    target = FakeTarget(folder=tmp_path, answers={("api", "GET", "/"): hang, ("web", "GET", "/"): answer({})})
    hanging: dict[str, Any] = {"http": {"service": "api", "timeout": 0.1}}
    started = time.monotonic()
    check = check_of("quorum", at_least=1, checks=[hanging, {"http": {"service": "web"}}])
    result = check.run(target)
    assert result.outcome is Outcome.PASS
    assert result.actual[0]["message"] == "still running after 1 s"
    late = check_of("quorum", at_least=1, checks=[hanging, hanging], timeout="1ms")
    with pytest.raises(CannotLook, match="the time of all checks together was over"):
        late.run(target)
    assert time.monotonic() - started < 50
    released.set()


def test_its_timeout_is_the_sum_of_theirs_unless_it_is_given(check_of: CheckOf) -> None:
    slow: dict[str, Any] = {"http": {"service": "a", "timeout": "10s", "retry": "5s"}}
    check = check_of("quorum", at_least=1, checks=[slow, PASS])
    assert check.timeout == 10 + 5 + 1 + 30 + 1
    assert check_of("quorum", at_least=1, times=3, check=slow).timeout == 3 * 16
    assert check_of("quorum", at_least=1, checks=[slow], timeout="7s").timeout == 7
    inner = {"quorum": {"at_least": 1, "times": 2, "check": slow}}
    assert check_of("quorum", at_least=1, checks=[inner]).timeout == 2 * 16 + 1
    assert "timeout" not in check.model_dump(exclude_unset=True)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"at_least": 1}, "give checks, or check with times"),
        ({"at_least": 1, "check": PASS}, "give checks, or check with times"),
        ({"at_least": 1, "checks": [PASS], "times": 2}, "give checks, or check with times"),
        ({"at_least": 2, "checks": [PASS]}, "at_least is 2, of only 1"),
        ({"at_least": 0, "checks": [PASS]}, "greater than or equal to 1"),
        ({"at_least": 1, "checks": []}, "at least 1 item"),
        ({"at_least": 1, "checks": [{"flie": {}}]}, "flie"),
        ({"at_least": 1, "checks": [{"file": {"path": "../x"}}]}, "leads out"),
    ],
)
def test_a_mistake_in_a_lab_file_is_refused(check_of: CheckOf, settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        check_of("quorum", **settings)


def test_editors_know_checks_within_a_check_as_a_lab_file_writes_them() -> None:
    import jsonschema

    schema = lab_schema()
    inner = {"$ref": "#/$defs/QuorumCheck", "$defs": schema["$defs"]}
    jsonschema.validate(
        {"at_least": 1, "checks": [PASS, {"quorum": {"at_least": 1, "times": 2, "check": ERROR}}]}, inner
    )
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"at_least": 1, "checks": [{"flie": {}}]}, inner)
    assert "discriminator" not in json.dumps(schema["$defs"]["QuorumCheck"])


NESTED = """\
      - quorum:
          at_least: 1
          checks:
            - http: {service: "page", path: "{{ vars.path }}"}
            - retrieval: {from: {service: page}, select: ids, cases: checks/cases.jsonl, value: {ge: 1}}
            - latency: {service: page, against: {service: page, path: /b}, ratio: {le: 1}}
"""


def lab_with(write_lab: Callable[..., Path], checks: str) -> Path:
    text = LAB.replace("  cpu: {memory: 64MiB, disk: 16MiB}", "  cpu: {memory: 64MiB, vars: {path: /seen}}")
    return write_lab(text=text.replace("      - http: {service: page, path: /}\n", checks))


def test_templates_within_are_filled_in(write_lab: Callable[..., Path]) -> None:
    lab = load_folder(lab_with(write_lab, NESTED))
    [check] = plan(lab, learner="ada", profile="cpu", layout=declared_layout(lab)).criteria[1].checks
    values = check.model_dump()["checks"]
    assert (values[0]["path"], values[1]["lab"]) == ("/seen", str(lab.path))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('service: "page"', "service: pgae"),
        ("from: {service: page}", "from: {service: pgae}"),
        ("against: {service: page,", "against: {service: pgae,"),
    ],
)
def test_a_service_named_within_must_be_one_of_the_lab(write_lab: Callable[..., Path], old: str, new: str) -> None:
    assert old in NESTED
    with pytest.raises(LabFileError, match="a check of criterion 'served' names service 'pgae'"):
        load_folder(lab_with(write_lab, NESTED.replace(old, new)))


def test_a_mistake_within_is_reported_where_it_stands(write_lab: Callable[..., Path]) -> None:
    with pytest.raises(
        LabFileError, match=r"lab.yaml:28:50: criteria.1.checks.0.quorum.checks.1.retrieval.selekt: unknown key"
    ):
        load_folder(lab_with(write_lab, NESTED.replace("select:", "selekt:")))
