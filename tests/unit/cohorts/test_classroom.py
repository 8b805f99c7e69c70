"""A class on a fake engine: everybody starts, one learner's trouble is nobody else's, and doing it again mends the rest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from labctl.cohorts import classroom
from labctl.cohorts.classroom import Done
from labctl.cohorts.roster import Person
from labctl.cohorts.seat import Seat, of_session, seats
from labctl.cohorts.spec import Cohort
from labctl.errors import PreflightError
from labctl.progress import Step
from labctl.sessions.context import Context
from labctl.store.records import SessionState
from labctl.testing.runtime import FakeRuntime

NAMES = ("ada", "bob", "cy")
PEOPLE = [Person(id=name, name=name) for name in NAMES]


def quiet(_step: Step) -> None:
    return


def nobody(_done: Done) -> None:
    return


@pytest.fixture(autouse=True)
def lab(write_lab: Callable[..., Path]) -> None:
    write_lab()


def cohort(**more: Any) -> Cohort:
    return Cohort.model_validate({"name": "autumn", "labs": ["small-lab"], "roster": "r.csv", **more})


def start(ctx: Context, chosen: Cohort, people: list[Person] = PEOPLE) -> dict[str, Done]:
    found = classroom.due(chosen, seats(chosen, people, ctx.store.sessions()), ctx)
    done = classroom.start(ctx, chosen, found, {"small-lab": "cpu"}, quiet, nobody, at_once=4)
    return {each.seat.person.id: each for each in done}


def test_everybody_gets_a_session_of_the_cohort_and_again_changes_nothing(ctx: Context) -> None:
    first = start(ctx, cohort())
    assert {who: done.problem for who, done in first.items()} == dict.fromkeys(NAMES, "")
    sessions = {session.id: session for session in ctx.store.sessions(live=True)}
    assert sorted(sessions) == [f"small-lab--autumn--{name}" for name in NAMES]
    ada = sessions["small-lab--autumn--ada"]
    assert (ada.cohort, ada.learner, ada.state) == ("autumn", "ada", SessionState.RUNNING)
    assert Path(ada.workspace).relative_to(ctx.settings.workspaces) == Path("autumn/ada/small-lab")
    assert ada.idle_timeout_s == 3600.0
    assert {done.words.split()[0] for done in first.values()} == {"started"}
    assert {done.words.partition(" http")[0] for done in start(ctx, cohort()).values()} == {"runs already"}
    assert ctx.store.session(ada.id) == ada


def test_one_learners_trouble_is_told_and_nobody_elses(ctx: Context) -> None:
    place = ctx.settings.workspaces / "autumn" / "bob"
    place.parent.mkdir(parents=True)
    place.write_text("in the way")
    first = start(ctx, cohort())
    assert [who for who, done in first.items() if done.problem] == ["bob"]
    assert str(place) in first["bob"].problem
    place.unlink()
    again = start(ctx, cohort())
    assert {who: done.words.split()[0] for who, done in again.items()} == {
        "ada": "runs",
        "bob": "started",
        "cy": "runs",
    }


def test_a_bug_that_one_session_meets_does_not_end_the_class() -> None:
    def work(seat: Seat) -> str:
        return str(1 // (seat.person.id != "bob"))

    done = classroom.each(seats(cohort(), PEOPLE), work, nobody, at_once=2)
    problems = {each.seat.person.id: each.problem for each in done}
    assert problems == {"ada": "", "bob": "ZeroDivisionError: integer division or modulo by zero", "cy": ""}


def test_never_more_than_the_file_says_and_those_that_run_stay(ctx: Context) -> None:
    assert sorted(start(ctx, cohort(sessions={"initial": 1}))) == ["ada"]
    late_comer = [PEOPLE[2], PEOPLE[0]]
    assert sorted(start(ctx, cohort(sessions={"maximum": 1}), late_comer)) == ["ada"]
    assert sorted(start(ctx, cohort(sessions={"maximum": 2}), late_comer)) == ["ada", "cy"]


def test_nobody_starts_before_the_window_opens_or_after_it_has_closed(ctx: Context) -> None:
    now = ctx.now()
    soon, past = (now + timedelta(hours=1)).isoformat(), (now - timedelta(hours=1)).isoformat()
    with pytest.raises(PreflightError, match="autumn opens on"):
        start(ctx, cohort(window={"opens": soon}))
    with pytest.raises(PreflightError, match="autumn closed on"):
        start(ctx, cohort(window={"closes": past}))
    assert start(ctx, cohort(window={"closes": past}, late={"days": 1}))["ada"].problem == ""


def test_a_session_does_not_outlive_the_window(ctx: Context) -> None:
    closes = ctx.now() + timedelta(minutes=30)
    start(ctx, cohort(window={"closes": closes.isoformat()}))
    session = ctx.store.session("small-lab--autumn--ada")
    assert session is not None
    assert session.expires_at == closes


def test_down_ends_also_who_has_left_the_list_and_no_other_cohort(ctx: Context) -> None:
    start(ctx, cohort())
    start(ctx, cohort(name="spring"))
    sessions = classroom.of_cohort(ctx, cohort())
    chosen = [of_session(session, PEOPLE[:1]) for session in sessions]
    done = classroom.end(ctx, sessions, chosen, quiet, nobody)
    assert sorted(each.seat.person.id for each in done if not each.problem) == list(NAMES)
    assert {session.cohort for session in ctx.store.sessions(live=True)} == {"spring"}


def test_only_what_has_not_passed_is_verified_again(ctx: Context, engine: FakeRuntime) -> None:
    start(ctx, cohort())
    workspace = ctx.settings.workspaces / "autumn" / "ada" / "small-lab"
    chosen = seats(cohort(), PEOPLE)
    first = classroom.verify(ctx, chosen, nobody)
    assert {each.seat.person.id: each.words for each in first} == dict.fromkeys(NAMES, "0 of 10 points")
    (workspace / "answer.txt").write_text("yes")
    second = {each.seat.person.id: each for each in classroom.verify(ctx, chosen, nobody)}
    assert second["ada"].words != "0 of 10 points"
    assert len(ctx.store.attempts()["small-lab--autumn--bob"]) == 2


def test_a_reserved_session_is_claimed_at_once_and_stays_its_owners(ctx: Context, engine: FakeRuntime) -> None:
    chosen = cohort(sessions={"reserved": 2})
    start(ctx, chosen, PEOPLE[:1])
    classroom.start(ctx, chosen, classroom.spares(ctx, chosen), {"small-lab": "cpu"}, quiet, nobody)
    spare = [session.id for session in classroom.of_cohort(ctx, chosen) if session.learner.startswith("spare-")]
    assert spare == ["small-lab--autumn--spare-1", "small-lab--autumn--spare-2"]
    assert classroom.spares(ctx, chosen) == []

    starts = engine.starts.copy()
    done = start(ctx, chosen, PEOPLE[:2])
    assert done["bob"].words == "took small-lab--autumn--spare-1, which was ready"
    assert engine.starts == starts
    found = {seat.person.id: seat.session for seat in seats(chosen, PEOPLE, ctx.store.sessions())}
    assert found["bob"] == "small-lab--autumn--spare-1"
    again = classroom.start(
        ctx, chosen, seats(chosen, PEOPLE[:2], ctx.store.sessions()), {"small-lab": "cpu"}, quiet, nobody
    )
    assert {each.words.partition(" http")[0] for each in again} == {"runs already"}
    session = ctx.store.session("small-lab--autumn--spare-1")
    assert session is not None
    assert (session.person, session.claimed_by) == ("bob", "bob")
    assert [seat.person.id for seat in classroom.spares(ctx, chosen)] == ["spare-3"]
    assert classroom.spares(ctx, cohort(sessions={"reserved": 2, "maximum": 3})) == []
    (report,) = classroom.verify(ctx, seats(chosen, PEOPLE[1:2], ctx.store.sessions()), nobody)
    assert report.words == "0 of 10 points"
    assert ctx.store.reports("small-lab--autumn--spare-1")[0]["learner"] == "bob"


def test_two_who_claim_at_once_get_two(ctx: Context) -> None:
    chosen = cohort(sessions={"reserved": 2})
    classroom.start(ctx, chosen, classroom.spares(ctx, chosen), {"small-lab": "cpu"}, quiet, nobody)
    taken = [classroom.claim(ctx, chosen, seat) for seat in seats(chosen, PEOPLE)]
    assert [session and session.id for session in taken] == [
        "small-lab--autumn--spare-1",
        "small-lab--autumn--spare-2",
        None,
    ]


def test_a_claimed_session_stays_its_owners_when_it_has_ended_and_starts_again(ctx: Context) -> None:
    chosen = cohort(sessions={"reserved": 1})
    classroom.start(ctx, chosen, classroom.spares(ctx, chosen), {"small-lab": "cpu"}, quiet, nobody)
    start(ctx, chosen, PEOPLE[:1])
    sessions = classroom.of_cohort(ctx, chosen)
    classroom.end(ctx, sessions, [of_session(each, PEOPLE) for each in sessions], quiet, nobody)
    assert [seat.person.id for seat in classroom.spares(ctx, chosen)] == ["spare-2"]
    assert start(ctx, chosen, PEOPLE[:1])["ada"].words.startswith("started")
    (again,) = classroom.of_cohort(ctx, chosen)
    assert (again.id, again.claimed_by) == ("small-lab--autumn--spare-1", "ada")
    assert classroom.claim(ctx, chosen, seats(chosen, PEOPLE[1:])[0]) is None
