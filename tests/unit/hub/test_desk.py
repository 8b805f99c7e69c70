"""The desk: who is who, which lab, and what the cohort allows, over a fake engine and a clock moved by hand."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labctl.cohorts import classroom, spec
from labctl.cohorts.roster import Person
from labctl.cohorts.seat import Seat
from labctl.errors import LabctlError, NotFoundError, UnhealthyError
from labctl.hub import caretaker
from labctl.hub.desk import Desk, Opened
from labctl.hub.quotas import Refused
from labctl.notebook import Notebook, notebook
from labctl.progress import Step
from labctl.sessions.context import Context
from labctl.store.records import SessionState
from labctl.testing.runtime import FakeRuntime
from tests.conftest import LAB, Clock

ROSTER = "Name,ID,Email\nAda Lovelace,1001,ada@example.org\nBob,1002,bob@example.org\n1001,1003,1003@example.org\n"
WriteCohort = Callable[..., Path]


def quiet(_step: Step) -> None:
    return


def portal_notebook(token: str = "t0", user: str = "1001") -> Notebook:
    told = {"JUPYTERHUB_SERVICE_PREFIX": f"/user/{user}/small-lab/", "JUPYTERHUB_API_TOKEN": token}
    return notebook(told, frozenset({"JUPYTERHUB_API_TOKEN"}))


@pytest.fixture
def write_cohort(home: Path, write_lab: Callable[..., Path]) -> WriteCohort:
    """Write the cohort file with more lines; where it is."""
    write_lab()
    write_lab("other-lab", LAB)
    (home / "autumn").mkdir()
    (home / "autumn" / "roster.csv").write_text(ROSTER)

    def write(more: str = "") -> Path:
        file = home / "autumn" / "cohort.yaml"
        file.write_text(f"labs: [small-lab, other-lab]\nroster: roster.csv\n{more}")
        return file

    return write


@pytest.fixture
def desk(ctx: Context, write_cohort: WriteCohort) -> Desk:
    return Desk(ctx, write_cohort())


def press_start(desk: Desk, user: str = "1001", server: str = "small-lab", token: str = "t0") -> Opened:
    return desk.open(user, server, portal_notebook(token, user), quiet)


def refusal(*args: Any, **more: Any) -> LabctlError:
    with pytest.raises(LabctlError) as caught:
        press_start(*args, **more)
    return caught.value


def test_start_makes_the_session_of_the_cohort_with_jupyterlab_in_it(desk: Desk, ctx: Context) -> None:
    opened = press_start(desk)
    assert opened.session == "small-lab--autumn--1001"
    assert opened.url.startswith("http://127.0.0.1:")
    assert desk.look(opened.session).running


@pytest.mark.parametrize("user", ["1001", "ada@example.org", "ADA@Example.ORG"])
def test_a_learner_is_told_by_id_or_address(desk: Desk, user: str) -> None:
    assert press_start(desk, user).session == "small-lab--autumn--1001"


@pytest.mark.parametrize("user", ["eve", "Ada Lovelace", "ada lovelace", "", "bob"])
def test_nobody_is_told_by_a_name_that_anybody_may_choose(desk: Desk, user: str) -> None:
    assert "is not on the list of autumn" in refusal(desk, user).what


def test_a_session_that_runs_is_taken_over_and_its_services_left_alone(desk: Desk, engine: FakeRuntime) -> None:
    press_start(desk)
    press_start(desk)
    assert engine.starts["small-lab--autumn--1001", "page"] == 1
    assert engine.starts["small-lab--autumn--1001", "workspace"] == 1
    press_start(desk, token="another Hub's")
    assert engine.starts["small-lab--autumn--1001", "page"] == 1
    assert engine.starts["small-lab--autumn--1001", "workspace"] == 2


def test_cohort_up_leaves_jupyterlab_where_it_is_and_down_ends_it(
    ctx: Context, engine: FakeRuntime, write_cohort: WriteCohort
) -> None:
    file = write_cohort()
    desk = Desk(ctx, file)
    opened = press_start(desk)
    cohort = spec.load(file, ctx.settings.labs).spec
    seats = [Seat(person=Person(id="1001", name="Ada"), lab="small-lab", session=opened.session)]
    classroom.start(ctx, cohort, seats, {"small-lab": "cpu"}, quiet, lambda _done: None)
    assert desk.look(opened.session).running
    assert engine.starts[opened.session, "workspace"] == 1
    desk.close(opened.session)
    desk.close(opened.session)
    assert not desk.look(opened.session).running
    classroom.start(ctx, cohort, seats, {"small-lab": "cpu"}, quiet, lambda _done: None)
    assert not desk.look(opened.session).running  # a stale token starts no JupyterLab


def test_the_window_counts_when_start_is_pressed(desk: Desk, write_cohort: WriteCohort) -> None:
    write_cohort("window: {opens: 2026-02-01}\n")
    assert "autumn opens on 2026-02-01" in refusal(desk).what
    write_cohort("window: {closes: 2026-01-01}\n")
    assert "autumn closed on" in refusal(desk).what
    write_cohort("window: {opens: 2026-01-01, closes: 2026-02-01}\n")
    assert press_start(desk).session


def test_one_lab_at_a_time_unless_the_cohort_says_more(desk: Desk, write_cohort: WriteCohort) -> None:
    press_start(desk)
    assert refusal(desk, server="other-lab").what == "you may have one lab open at a time, and small-lab is"
    assert press_start(desk).session  # its own again is no second one
    write_cohort("limits: {sessions: 2}\n")
    assert press_start(desk, server="other-lab").session


def test_nobody_gets_more_than_there_is_room_for(desk: Desk, write_cohort: WriteCohort) -> None:
    write_cohort("sessions: {maximum: 1}\n")
    opened = press_start(desk)
    error = refusal(desk, "1002")
    assert (error.what, error.hint) == ("all 1 places are taken", "try again when somebody has finished")
    assert press_start(desk).session == opened.session
    desk.close(opened.session)
    assert press_start(desk, "1002").session


def test_a_lab_that_needs_more_memory_than_one_may_have_is_not_started(desk: Desk, write_cohort: WriteCohort) -> None:
    write_cohort("limits: {memory: 32MiB}\n")
    assert "small-lab needs 64 MiB of memory, and 32 MiB is what one may have" in refusal(desk).what


def test_two_who_press_start_at_once_do_not_both_get_the_last_place(
    ctx: Context, write_cohort: WriteCohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(ctx, write_cohort("sessions: {maximum: 1}\n"))
    under_way, go_on = threading.Event(), threading.Event()

    def slow(step: Step) -> None:
        under_way.set()
        go_on.wait(10)

    first = threading.Thread(target=lambda: desk.open("1001", "small-lab", portal_notebook(), slow))
    first.start()
    under_way.wait(10)
    try:
        with pytest.raises(Refused, match="places are taken"):
            press_start(desk, "1002")
    finally:
        go_on.set()
        first.join()


def test_a_reserved_session_is_had_at_once_and_made_up_for(ctx: Context, write_cohort: WriteCohort) -> None:
    file = write_cohort("sessions: {reserved: 1, maximum: 2}\n")
    desk = Desk(ctx, file)
    caretaker.round_of(ctx, file)
    assert [session.id for session in ctx.store.sessions(live=True)] == ["small-lab--autumn--spare-1"]
    opened = press_start(desk)
    assert opened.session == "small-lab--autumn--spare-1"
    assert press_start(desk).session == opened.session
    assert [line.partition(" http")[0] for line in caretaker.round_of(ctx, file)] == [
        "small-lab--autumn--spare-2: started"
    ]


def test_the_caretaker_ends_what_has_expired_and_goes_on_past_a_file_that_is_wrong(
    desk: Desk, ctx: Context, clock: Clock, write_cohort: WriteCohort
) -> None:
    opened = press_start(desk)
    clock.advance(hours=8, minutes=-20)
    assert desk.look(opened.session).notice.startswith("small-lab ends in 20 minutes, at 11:04 UTC. Your files stay")
    clock.advance(hours=1)
    assert not desk.look(opened.session).running
    file = write_cohort("nonsense: yes\n")
    done = caretaker.round_of(ctx, file)
    assert done[0].startswith(f"{opened.session}: expired at")
    assert "nonsense" in done[1]
    record = ctx.store.session(opened.session)
    assert record is not None
    assert record.state is SessionState.STOPPED


def test_what_does_not_become_healthy_is_said_and_start_mends_it(desk: Desk, engine: FakeRuntime) -> None:
    engine.sick.add("page")
    assert isinstance(refusal(desk), UnhealthyError)
    engine.sick.clear()
    assert press_start(desk).session


def test_a_lab_that_is_not_the_cohorts_is_not_found(desk: Desk) -> None:
    error = refusal(desk, server="third-lab")
    assert isinstance(error, NotFoundError)
    assert "small-lab, other-lab" in error.hint


def test_secrets_of_the_hub_are_in_no_plan_and_change_its_mark() -> None:
    one, two = portal_notebook("s3cret"), portal_notebook("another")
    assert "s3cret" not in one.model_dump_json() + repr(one)
    assert one.mark != two.mark
