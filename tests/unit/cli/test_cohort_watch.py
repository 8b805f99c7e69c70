"""What is shown of a class while it is started."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from labctl.cli.cohort_watch import MAX_ROWS, Watch
from labctl.cohorts.classroom import Done
from labctl.cohorts.roster import Person
from labctl.cohorts.seat import Seat
from labctl.progress import Step


def shown(watch: Watch) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=60).print(watch)
    return [" ".join(line.split()) for line in stream.getvalue().splitlines()]


def done(learner: str, problem: str = "") -> Done:
    person = Person(id=learner, name=learner.title())
    seat = Seat(person=person, lab="page", session=f"page--autumn--{learner}")
    return Done(seat=seat, words="started", problem=problem, took_s=1.0)


def test_each_learner_under_way_has_a_row_with_the_step_it_is_at() -> None:
    watch = Watch(3, "up", quiet=True)
    watch.step(Step(name="ada: image web", state="started", detail="40 MB"))
    watch.step(Step(name="bob: service web", state="started"))
    watch.step(Step(name="ada: service web", state="started"))
    assert shown(watch) == ["0 of 3 up", "ada service web 0.0s", "bob service web 0.0s"]


def test_who_is_done_leaves_the_table_and_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    watch = Watch(2, "up", quiet=False)
    for learner in ("ada", "bob"):
        watch.step(Step(name=f"{learner}: service web", state="started"))
    watch.done(done("ada", problem="the port is taken"))
    assert shown(watch) == ["1 of 2 up, 1 failed", "bob service web 0.0s"]
    assert "Ada (ada) page the port is taken" in capsys.readouterr().out


def test_a_large_class_does_not_fill_the_screen() -> None:
    watch = Watch(40, "up", quiet=True)
    for number in range(40):
        watch.step(Step(name=f"l{number}: ingress", state="started"))
    assert len(shown(watch)) == MAX_ROWS + 2
    assert shown(watch)[-1] == "and 28 more"
