"""Grading: order, concurrency, deadlines, retries, and what each exception comes to."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import pytest

from labctl.checks.base import BaseCheck, Unmet
from labctl.errors import NotFoundError
from labctl.grading import grade
from labctl.outcomes import CheckResult, CriterionResult, Outcome
from labctl.plan import CriterionPlan
from labctl.target import CannotLook, RefusedPath, Target, Unreachable
from labctl.testing.target import FakeTarget


class Probe(BaseCheck):
    """Passes when `look_with` returns; what it raises, it raises."""

    kind: str = "probe"
    look_with: Any = None

    def look(self, target: Target) -> CheckResult:
        if self.look_with is not None:
            self.look_with()
        return self.passed("as wanted")


class Computation(Probe):
    """One that keeps a core busy."""

    computes: ClassVar[bool] = True


class Sharing(Probe):
    """One of those that a single look settles; `looked` counts the checks of each."""

    looked: Any = None

    @property
    def shares(self) -> str:
        return "the same"

    @classmethod
    def looks_at(cls, checks: Sequence[Self], target: Target) -> list[Callable[[], CheckResult]]:
        checks[0].looked.append(len(checks))
        return super().looks_at(checks, target)


class Busy:
    """A look that takes a moment, and counts how many are in it: `now`, and the `most` at any time."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self._lock = threading.Lock()

    def look(self) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.02)
        with self._lock:
            self.now -= 1


def criterion(
    id: str,
    *looks: Callable[[], object] | None,
    needs: Sequence[str] = (),
    probe: type[Probe] = Probe,
    **settings: Any,
) -> CriterionPlan:
    """A criterion of probes. The plan's own union of kinds is left out, as these are none of a lab's."""
    checks: Any = [probe(look_with=look, **settings) for look in looks or (None,)]
    return CriterionPlan.model_construct(
        id=id, source="1.1", text=f"{id} works", points=10, hint="look", needs=list(needs), checks=checks
    )


def raising(error: BaseException) -> Callable[[], object]:
    def look() -> object:
        raise error

    return look


@pytest.fixture
def target(tmp_path: Path) -> FakeTarget:
    return FakeTarget(folder=tmp_path)


def outcomes(results: Sequence[CriterionResult]) -> dict[str, str]:
    return {result.id: str(result.outcome) for result in results}


def test_results_come_in_the_plans_order_with_points_for_what_passed(target: FakeTarget) -> None:
    heard: list[str] = []
    plan = [criterion("b", needs=["a"]), criterion("c", raising(Unmet("no"))), criterion("a")]
    results = grade(plan, target, on_result=lambda result: heard.append(result.id))
    assert [(result.id, result.earned) for result in results] == [("b", 10), ("c", 0), ("a", 10)]
    assert sorted(heard) == ["a", "b", "c"]
    assert heard.index("a") < heard.index("b")


def test_what_needs_a_failed_criterion_is_skipped_and_says_why(target: FakeTarget) -> None:
    plan = [
        criterion("a", raising(Unmet("no"))),
        criterion("b", needs=["a"]),
        criterion("c", needs=["b"]),
        criterion("d"),
    ]
    results = grade(plan, target)
    assert outcomes(results) == {"a": "fail", "b": "skip", "c": "skip", "d": "pass"}
    assert [(check.message, check.attempts) for check in results[1].checks] == [("not looked at: a must pass first", 0)]


def test_a_criterion_passes_when_all_its_checks_pass(target: FakeTarget) -> None:
    plan = [
        criterion("a", None, raising(CannotLook("x"))),
        criterion("b", raising(CannotLook("x")), raising(Unmet("y"))),
    ]
    results = grade(plan, target)
    assert outcomes(results) == {"a": "error", "b": "fail"}
    assert [str(check.outcome) for check in results[0].checks] == ["pass", "error"]


@pytest.mark.parametrize(
    ("error", "outcome", "message"),
    [
        (CannotLook("the engine is gone"), "error", "could not look: the engine is gone"),
        (Unreachable("api is silent"), "fail", "no answer: api is silent"),
        (RefusedPath("../x"), "fail", "the path leads out of the workspace: ../x"),
        (Unmet("there is no file x"), "fail", "there is no file x"),
        (ZeroDivisionError("oops"), "error", "ZeroDivisionError: oops"),
        (SystemExit(3), "error", "SystemExit: 3"),
        (RecursionError("deep"), "error", "RecursionError: deep"),
    ],
)
def test_each_exception_has_its_outcome(target: FakeTarget, error: BaseException, outcome: str, message: str) -> None:
    (result,) = grade([criterion("a", raising(error))], target)
    assert (str(result.outcome), result.checks[0].message) == (outcome, message)


def test_independent_checks_run_at_the_same_time_up_to_the_limit(target: FakeTarget) -> None:
    both = threading.Barrier(4, timeout=10)  # passes only when four checks are in it at once
    results = grade([criterion("a", both.wait, both.wait), criterion("b", both.wait, both.wait)], target, workers=4)
    assert outcomes(results) == {"a": "pass", "b": "pass"}
    busy = Busy()
    grade([criterion("a", *[busy.look] * 12)], target, workers=3)
    assert busy.most <= 3


def test_what_computes_gets_no_more_places_than_there_are_cores(
    target: FakeTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    busy = Busy()
    results = grade([criterion("a", *[busy.look] * 8, probe=Computation)], target)
    assert outcomes(results) == {"a": "pass"}
    assert busy.most <= 2


def test_checks_that_share_something_are_one_look_once_they_are_ready(target: FakeTarget) -> None:
    looked: list[int] = []
    plan = [
        criterion("a", None, raising(Unmet("no")), probe=Sharing, looked=looked),
        criterion("b", None, probe=Sharing, looked=looked),
        criterion("c", None, needs=["b"], probe=Sharing, looked=looked),
        criterion("other", None),
    ]
    results = grade(plan, target, workers=1)
    assert looked == [3, 1]
    assert outcomes(results) == {"a": "fail", "b": "pass", "c": "pass", "other": "pass"}


def test_a_shared_look_has_the_time_of_all_its_checks(target: FakeTarget) -> None:
    plan = [criterion("a", *[lambda: time.sleep(0.3)] * 3, probe=Sharing, looked=[], timeout=0.4)]
    assert outcomes(grade(plan, target, workers=1)) == {"a": "pass"}


def test_a_check_that_is_to_be_alone_meets_no_other(target: FakeTarget) -> None:
    together, apart = Busy(), Busy()

    def alone() -> None:
        apart.look()
        assert together.now == 0

    plan = [
        criterion("alone", alone, alone, alone=True),
        criterion("others", *[together.look] * 6),
        criterion("late", together.look, needs=["alone"]),
    ]
    assert set(outcomes(grade(plan, target)).values()) == {"pass"}
    assert apart.most == 1


def test_a_check_that_hangs_is_left_behind_and_stops_no_other(target: FakeTarget) -> None:
    release = threading.Event()
    try:
        started = time.monotonic()
        plan = [
            criterion("hung", release.wait, timeout=0.1, retry=60),
            criterion("ok"),
            criterion("after", needs=["hung"]),
        ]
        results = grade(plan, target, workers=1)
        assert time.monotonic() - started < 10
        assert outcomes(results) == {"hung": "error", "ok": "pass", "after": "skip"}
        assert results[0].checks[0].message.startswith("still running after")
        assert results[0].checks[0].attempts == 1  # although its retry budget is not spent
        assert [t.daemon for t in threading.enumerate() if "hung" in t.name] == [True]
    finally:
        release.set()


def test_a_check_is_tried_again_until_it_passes(target: FakeTarget) -> None:
    left = iter([Unmet("not yet"), CannotLook("starting")])
    others: list[int] = []

    def look() -> None:
        error = next(left, None)
        if error is not None:
            raise error

    (result,) = grade([criterion("a", look, lambda: others.append(1), retry=30)], target)
    assert (result.outcome, result.checks[0].attempts, len(others)) == (Outcome.PASS, 3, 1)
    assert 0.5 < result.checks[0].duration_s < 10


def test_trying_ends_with_the_budget_and_keeps_the_last_result(target: FakeTarget) -> None:
    counted: list[int] = []

    def look() -> None:
        counted.append(1)
        raise Unmet(f"attempt {len(counted)}")

    (result,) = grade([criterion("a", look, retry=1)], target)
    attempts = result.checks[0].attempts
    assert 2 <= attempts <= 3  # at 0, 0.2 and 0.6 s, unless the machine is busy; the next would be at 1.4 s
    assert (result.outcome, result.checks[0].message) == (Outcome.FAIL, f"attempt {attempts}")


def test_time_spent_looking_counts_against_the_budget(target: FakeTarget) -> None:
    later = [0.0]

    def look() -> None:
        later[0] += 100  # seconds pass on the clock that is handed in
        raise Unmet("not yet")

    (result,) = grade([criterion("a", look, retry=50, timeout=1000)], target, clock=lambda: time.monotonic() + later[0])
    assert (result.outcome, result.checks[0].attempts) == (Outcome.FAIL, 1)
    assert 100 <= result.checks[0].duration_s < 200


def test_a_pausing_check_holds_no_place(target: FakeTarget) -> None:
    done: list[str] = []
    other = criterion("other", lambda: done.append("other"))

    def look() -> None:
        if not done:
            raise Unmet("the other has not run")

    results = grade([criterion("waits", look, retry=30), other], target, workers=1)
    assert outcomes(results) == {"waits": "pass", "other": "pass"}


def test_only_the_chosen_and_what_they_need_is_graded(target: FakeTarget) -> None:
    plan = [criterion("a"), criterion("b", needs=["a"]), criterion("c", needs=["b"]), criterion("d")]
    assert list(outcomes(grade(plan, target, only=["c"]))) == ["a", "b", "c"]
    with pytest.raises(NotFoundError, match="no criterion 'x'") as raised:
        grade(plan, target, only=["x"])
    assert "a, b, c, d" in raised.value.hint


def test_nothing_to_grade_is_no_result(target: FakeTarget) -> None:
    assert grade([], target) == ()


def test_a_hundred_instant_checks_cost_less_than_5_ms_each(target: FakeTarget) -> None:
    plan = [criterion(f"c{number}") for number in range(100)]
    best = min(_seconds(lambda: grade(plan, target)) for _ in range(3))
    assert best < 100 * 0.005


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
