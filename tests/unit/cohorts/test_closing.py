"""What stands at the deadline is what counts, whenever it is looked at and whoever goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from labctl.cohorts import classroom, closing, grades
from labctl.cohorts.classroom import Done
from labctl.cohorts.roster import Person
from labctl.cohorts.seat import of_session, seats
from labctl.cohorts.spec import Cohort
from labctl.errors import PreflightError
from labctl.progress import Step
from labctl.sessions import verify
from labctl.sessions.context import Context
from labctl.store.records import Session
from tests.conftest import Clock

PEOPLE = [Person(id=name, name=name) for name in ("ada", "bob")]


def quiet(_said: Step | Done | float) -> None:
    return


@pytest.fixture
def autumn(ctx: Context, write_lab: Callable[..., Path]) -> Cohort:
    """A class of two that runs, with ten minutes to its deadline."""
    write_lab()
    closes = (ctx.now() + timedelta(minutes=10)).isoformat()
    cohort = Cohort.model_validate(
        {"name": "autumn", "labs": ["small-lab"], "roster": "r.csv", "window": {"closes": closes}, "late": {"days": 1, "penalty_percent_per_day": 50}}
    )  # fmt: skip
    found = seats(cohort, PEOPLE)
    classroom.start(ctx, cohort, found, {"small-lab": "cpu"}, quiet, quiet)
    return cohort


def close(ctx: Context, autumn: Cohort) -> dict[str, Done]:
    as_of = closing.wait_for(ctx, autumn, quiet)
    sessions = classroom.of_cohort(ctx, autumn)
    done = closing.close(ctx, sessions, [of_session(each, PEOPLE) for each in sessions], as_of, quiet, at_once=1)
    return {each.seat.person.id: each for each in done}


def points(ctx: Context, autumn: Cohort) -> dict[str, tuple[float, int]]:
    rows = grades.rows(autumn, seats(autumn, PEOPLE), ctx.store.attempts())
    return {row.person.id: (row.grades["small-lab"].points, row.grades["small-lab"].days_late) for row in rows}


def workspace(ctx: Context, who: str) -> Path:
    return ctx.settings.workspaces / "autumn" / who / "small-lab"


def test_what_is_judged_after_the_deadline_counts_as_in_time_when_nothing_was_changed(
    ctx: Context, autumn: Cohort, clock: Clock
) -> None:
    (workspace(ctx, "ada") / "answer.txt").write_text("yes")
    clock.advance(minutes=25)
    done = close(ctx, autumn)
    assert {who: each.problem for who, each in done.items()} == {"ada": "", "bob": ""}
    assert points(ctx, autumn)["ada"] == (10.0, 0)
    (copy,) = workspace(ctx, "ada").parent.glob("small-lab?*")
    assert (copy / "answer.txt").read_text() == "yes"


def test_who_goes_on_after_the_deadline_is_told_of_and_late(
    ctx: Context, autumn: Cohort, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.advance(minutes=11)
    look = verify.verify

    def meanwhile(ctx: Context, session: Session, **more: Any) -> Any:
        (workspace(ctx, "bob") / "answer.txt").write_text("yes")  # while the first, who is ada, is looked at
        return look(ctx, session, **more)

    monkeypatch.setattr(verify, "verify", meanwhile)
    done = close(ctx, autumn)
    assert done["ada"].problem == ""
    assert done["bob"].problem.startswith("files were changed after the deadline: 10 of 10 points")
    assert points(ctx, autumn) == {"ada": (0.0, 0), "bob": (5.0, 1)}
    (copy,) = workspace(ctx, "bob").parent.glob("small-lab?*")
    assert str(copy) in done["bob"].hint
    assert not (copy / "answer.txt").exists()


def test_it_waits_for_the_deadline_and_is_not_closed_long_after_it(ctx: Context, autumn: Cohort, clock: Clock) -> None:
    def time_goes_on(left_s: float) -> None:
        clock.advance(seconds=left_s)

    assert closing.wait_for(ctx, autumn, time_goes_on) == ctx.now()
    clock.advance(hours=2)
    with pytest.raises(PreflightError, match="too long ago to say what stood then"):
        closing.wait_for(ctx, autumn, quiet)
    open_ended = autumn.model_copy(update={"window": type(autumn.window)()})
    with pytest.raises(PreflightError, match="autumn has no deadline"):
        closing.wait_for(ctx, open_ended, quiet)


def test_a_workspace_that_is_gone_is_one_learners_trouble(ctx: Context, autumn: Cohort, clock: Clock) -> None:
    shutil.rmtree(workspace(ctx, "ada"))
    clock.advance(minutes=11)
    done = close(ctx, autumn)
    assert "is gone" in done["ada"].problem
    assert done["bob"].problem == ""
