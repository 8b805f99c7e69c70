"""What the board makes of the store's rows: states, who is stuck, what most fail, what has changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from labctl.cohorts.roster import Person
from labctl.cohorts.seat import Seat
from labctl.cohorts.spec import Cohort
from labctl.hub.board.reading import STUCK_AFTER, Column, Matrix, Row, Seen, changed, matrix
from labctl.hub.board.watch import Look, merged
from labctl.outcomes import Outcome
from labctl.store.records import Attempt, Session, SessionState

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
COLUMNS = (Column(id="a", text="first", points=3), Column(id="b", text="second", points=7))
PASS, FAIL, SKIP = Outcome.PASS, Outcome.FAIL, Outcome.SKIP
COHORT = Cohort.model_validate({"name": "autumn", "labs": ["lab"], "roster": "r.csv"})


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def session(who: str, **more: Any) -> Session:
    values: dict[str, Any] = {"state": SessionState.RUNNING, "created_at": NOW - minutes(5), **more}
    return Session(
        id=f"lab--{who}",
        lab="lab",
        lab_path="/labs/lab",
        learner=who,
        runtime="local",
        profile="cpu",
        workspace="/work",
        **values,
    )


def attempt(score: int, ago: float, id: int = 1) -> Attempt:
    return Attempt(id=id, score=score, max_score=10, outcome="pass" if score == 10 else "fail", at=NOW - minutes(ago))


def seen(who: str, **more: Any) -> Seen:
    return Seen(seat=Seat(person=Person(id=who, name=who), lab="lab", session=f"lab--{who}"), **more)


def read(*found: Seen, now: datetime = NOW) -> Matrix:
    return matrix(COHORT, "lab", "A lab", COLUMNS, found, now)


def one(**more: Any) -> Row:
    return read(seen("ada", **more)).rows[0]


def test_a_row_says_what_passed_and_what_nobody_has_looked_at() -> None:
    row = one(session=session("ada"), attempts=(attempt(3, 1),), outcomes={"a": PASS})
    assert (row.marks, row.points, row.max_points, row.state) == ((PASS, None), 3, 10, "running")
    assert one().state == ""


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"expires_at": NOW}, "expired"),
        ({"expires_at": NOW + minutes(1)}, "running"),
        ({"state": SessionState.FAILED, "detail": "out of memory"}, "failed"),
        ({"state": SessionState.STOPPED, "expires_at": NOW}, "stopped"),
    ],
)
def test_the_session_says_how_it_is(changes: dict[str, Any], state: str) -> None:
    row = one(session=session("ada", **changes))
    assert (row.state, row.reason) == (state, changes.get("detail", ""))


def test_stuck_is_who_runs_long_and_comes_no_further() -> None:
    old = session("ada", created_at=NOW - STUCK_AFTER)
    assert one(session=old).stuck_since == old.created_at
    assert one(session=replace(old, created_at=NOW - STUCK_AFTER + timedelta(seconds=1))).stuck_since is None
    assert one(session=old, attempts=(attempt(3, 1),)).stuck_since is None
    again = (attempt(3, 30), attempt(3, 10, 2), attempt(0, 1, 3))
    assert one(session=old, attempts=again).stuck_since is not None
    assert one(session=old, attempts=(attempt(10, 30),)).stuck_since is None
    assert one(session=replace(old, state=SessionState.STOPPED)).stuck_since is None
    assert one().stuck_since is None


def test_the_longest_stuck_comes_first() -> None:
    found = read(
        seen("ada", session=session("ada", created_at=NOW - minutes(30))),
        seen("bob", session=session("bob", created_at=NOW - minutes(90))),
        seen("cy", session=session("cy")),
    )
    assert [row.person.id for row in found.stuck] == ["bob", "ada"]


def test_the_hardest_is_what_most_have_failed_and_skipping_is_not_failing() -> None:
    outcomes = [{"a": FAIL, "b": SKIP}, {"a": PASS, "b": FAIL}, {"a": PASS, "b": FAIL}]
    found = read(*(seen(f"s{n}", outcomes=each) for n, each in enumerate(outcomes)))
    assert found.hardest == (COLUMNS[1], 2)
    assert read(seen("ada", outcomes={"a": PASS})).hardest is None


def test_only_what_has_changed_is_told() -> None:
    before = read(seen("ada", session=session("ada")), seen("bob"))
    same = read(seen("ada", session=session("ada")), seen("bob"), now=NOW + minutes(1))
    after = read(seen("ada", session=session("ada")), seen("bob", session=session("bob")))
    assert changed(before, same) == []
    assert [row.person.id for row in changed(before, after)] == ["bob"]


def test_a_look_gets_a_new_version_only_with_news() -> None:
    first = merged(Look(), {"lab": read(seen("ada"), seen("bob"))}, set())
    assert merged(first, dict(first.matrices), set()) is first
    assert [row.person.id for row in first.changed_since("lab", 0)] == ["ada", "bob"]
    second = merged(first, {"lab": read(seen("ada"), seen("bob", session=session("bob")))}, set())
    assert [row.person.id for row in second.changed_since("lab", first.version)] == ["bob"]
    assert (second.version_of("bob"), second.version_of("ada")) == (2, 1)
    third = merged(second, dict(second.matrices), {"ada"})
    assert (third.version_of("ada"), third.changed_since("lab", 2)) == (3, [])
