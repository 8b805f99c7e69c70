"""GPUs go back: of the idle after a warning, of what has crashed at once; and nobody who is at work loses one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from labctl.gpus.inventory import Gpu, Inventory, Sensors
from labctl.sessions.activity import observe, observe_all
from labctl.sessions.collected import Collected
from labctl.sessions.context import Context
from labctl.sessions.end import down, gc
from labctl.sessions.presence import touch
from labctl.sessions.reclaim import HURRIED_S, SETTLE_S, reclaim
from labctl.sessions.up import UpRequest, up
from labctl.sessions.view import view
from labctl.store.lock import session_lock
from labctl.store.records import Held, Session, SessionState, Waiting
from labctl.testing.runtime import FakeRuntime
from tests.conftest import LAB, Clock

ID = "small-lab--ada"
GPU_LAB = LAB.replace(
    "profiles:\n", "profiles:\n  gpu: {memory: 64MiB, disk: 16MiB, gpu: {memory: 1GiB, sharing: exclusive}}\n"
).replace(
    "services:\n",
    "services:\n  aside:\n    command: [sleep, '9']\n    gpu: false\n",
)
IDLE = Collected(session=ID, why="idle for 1h", what="gpu")


def quiet(_step: object) -> None: ...


def machine(percent: int | None = 0) -> Inventory:
    gpu = Gpu(
        index=0,
        uuid="GPU-1",
        name="H100",
        memory_total_mib=81920,
        memory_free_mib=81920,
        compute_capability="9.0",
        sensors=Sensors(utilization_percent=percent),
    )
    return Inventory(source="fake", gpus=(gpu,))


@pytest.fixture
def session(ctx: Context, engine: FakeRuntime, write_lab: Callable[..., Path]) -> Session:
    """A session that holds the only GPU and idles after an hour."""
    write_lab(text=GPU_LAB)
    engine.inventory = machine()
    return start(ctx)


def start(ctx: Context, learner: str = "ada") -> Session:
    request = UpRequest(lab="small-lab", learner=learner, profile="gpu", idle_timeout_s=3600.0, ttl_s=20 * 86400.0)
    made = up(ctx, request, quiet).session
    assert [gpu["uuid"] for gpu in made.gpus] == ["GPU-1"]
    assert made.idle_timeout_s == 3600.0
    return made


def idles(ctx: Context, clock: Clock, **lasts: float) -> None:
    """Time passes in which somebody looks every minute and sees nothing done."""
    observe_all(ctx)
    clock.advance(**lasts)
    with ctx.store.allocating() as table:
        for held in table.held():
            table.update(replace(held, seen_at=clock() - timedelta(minutes=1)))


def look(ctx: Context) -> list[Collected]:
    observe_all(ctx)
    return reclaim(ctx, quiet)


def row(ctx: Context) -> Held:
    (held,) = ctx.store.held(released=True)
    return held


def note(ctx: Context) -> str:
    return view(ctx, known(ctx)).note


def known(ctx: Context, id: str = ID) -> Session:
    session = ctx.store.session(id)
    assert session is not None
    return session


def acts(ctx: Context, clock: Clock) -> None:
    touch(ctx.settings.home, ID, clock())


def test_an_idle_gpu_goes_back_after_a_warning(
    ctx: Context, session: Session, clock: Clock, engine: FakeRuntime
) -> None:
    idles(ctx, clock, minutes=54)
    assert (look(ctx), note(ctx)) == ([], "")
    clock.advance(minutes=1)
    assert look(ctx) == []
    assert note(ctx) == (
        "idle for 55m (no command, no request, no load on its GPU): its GPU goes back at 04:04 UTC; any command, request or "
        "load keeps it"
    )
    clock.advance(minutes=4)
    assert look(ctx) == []
    clock.advance(minutes=1)
    assert look(ctx) == [IDLE]
    assert note(ctx) == "its GPU went back at 04:04 UTC after 1h without use; `labctl up small-lab` takes one again"
    assert (row(ctx).released_at, row(ctx).why_released) == (clock().replace(microsecond=0), "idle for 1h")
    assert list(engine.running[ID]) == ["aside"]
    assert (known(ctx).state, known(ctx).gpus) == (SessionState.RUNNING, ())
    assert (look(ctx), ctx.store.held()) == ([], [])


def test_while_somebody_waits_in_line_five_minutes_are_enough(ctx: Context, session: Session, clock: Clock) -> None:
    idles(ctx, clock, minutes=10)
    assert (look(ctx), note(ctx)) == ([], "")
    waits = Waiting(
        session="small-lab--bob", lab="small-lab", learner="bob", place=ctx.place, need={},
        since=clock(), seen_at=clock() + timedelta(hours=1),
    )  # fmt: skip
    with session_lock(ctx.settings.home, waits.session):
        with ctx.store.allocating() as table:
            table.wait(waits)
        assert look(ctx) == []
        assert "its GPU goes back at 03:15 UTC" in note(ctx)
        clock.advance(minutes=1)
        assert [(each.what, each.why) for each in look(ctx)] == [("gpu", "idle for 11m")]


def test_up_takes_a_gpu_again(ctx: Context, session: Session, clock: Clock) -> None:
    idles(ctx, clock, hours=2)
    look(ctx)
    clock.advance(minutes=5)
    assert [each.what for each in look(ctx)] == ["gpu"]
    again = up(ctx, UpRequest(lab="small-lab", learner="ada"), quiet)
    assert [gpu["uuid"] for gpu in again.session.gpus] == ["GPU-1"]
    assert (again.changed, again.note) == (("page",), "")
    assert len(ctx.store.held()) == 1


def test_hours_in_which_nobody_looked_were_perhaps_work(ctx: Context, session: Session, clock: Clock) -> None:
    look(ctx)
    clock.advance(hours=5)
    assert (look(ctx), note(ctx)) == ([], "")
    assert row(ctx).active_at == clock().replace(microsecond=0)
    idles(ctx, clock, minutes=59)
    assert look(ctx) == []
    assert "its GPU goes back at 09:08 UTC" in note(ctx)


def test_each_kind_of_activity_keeps_it(ctx: Context, session: Session, clock: Clock, engine: FakeRuntime) -> None:
    def act() -> None:
        acts(ctx, clock)

    def ask() -> None:
        engine.requested[ID] += 1

    def load() -> None:
        engine.inventory = machine(80)

    for does in (act, ask, load):
        engine.inventory = machine()
        idles(ctx, clock, hours=2)
        assert look(ctx) == []
        assert row(ctx).warned_at is not None
        clock.advance(minutes=5)
        does()
        assert look(ctx) == []
        assert (row(ctx).warned_at, row(ctx).active_at, note(ctx)) == (None, clock().replace(microsecond=0), "")


def test_a_command_after_the_warning_keeps_it_before_anybody_looks_again(
    ctx: Context, session: Session, clock: Clock
) -> None:
    idles(ctx, clock, hours=2)
    look(ctx)
    clock.advance(minutes=4)
    observe_all(ctx)
    clock.advance(minutes=1)
    acts(ctx, clock)
    assert note(ctx) == ""
    assert reclaim(ctx, quiet) == []


def test_a_gpu_that_is_not_watched_is_not_called_idle(ctx: Context, session: Session, clock: Clock) -> None:
    clock.advance(hours=2)
    assert reclaim(ctx, quiet) == []
    assert row(ctx).warned_at is None
    elsewhere = replace(machine(), gpus=(replace(machine().gpus[0], uuid="GPU-9"),))
    observe(ctx, elsewhere, clock())
    assert (reclaim(ctx, quiet), row(ctx).seen_at) == ([], None)
    idles(ctx, clock, hours=2)
    look(ctx)
    assert row(ctx).warned_at is not None
    clock.advance(minutes=20)
    assert reclaim(ctx, quiet) == []


def test_a_session_that_never_idles_keeps_it(ctx: Context, session: Session, clock: Clock) -> None:
    ctx.store.put(replace(session, idle_timeout_s=None))
    for _ in range(3):
        clock.advance(hours=20)
        assert look(ctx) == []
    assert note(ctx) == ""


def test_an_engine_that_is_gone_is_no_reason_and_no_error(
    ctx: Context, session: Session, clock: Clock, engine: FakeRuntime
) -> None:
    idles(ctx, clock, hours=2)
    look(ctx)
    clock.advance(minutes=5)
    engine.gone = True
    observe(ctx, machine(), clock())
    found = reclaim(ctx, quiet)
    assert [each.problem for each in found] == ["the fake engine is gone"]
    assert len(ctx.store.held()) == 1
    observe_all(ctx)


def test_a_dry_run_only_says_so(ctx: Context, session: Session, clock: Clock, engine: FakeRuntime) -> None:
    idles(ctx, clock, hours=2)
    assert gc(ctx, quiet, dry_run=True) == []
    assert row(ctx).warned_at is None
    look(ctx)
    clock.advance(minutes=5)
    assert [each.what for each in gc(ctx, quiet, dry_run=True)] == ["gpu"]
    assert (list(engine.running[ID]), len(ctx.store.held())) == (["aside", "page"], 1)


def test_a_session_that_somebody_works_on_is_left_alone(ctx: Context, session: Session, clock: Clock) -> None:
    idles(ctx, clock, hours=2)
    look(ctx)
    clock.advance(minutes=5)
    with session_lock(ctx.settings.home, ID):
        assert look(ctx) == []
    assert len(look(ctx)) == 1


def test_whoever_dies_between_withdrawing_and_recording_is_finished_by_the_next(
    ctx: Context, session: Session, clock: Clock, engine: FakeRuntime
) -> None:
    idles(ctx, clock, hours=2)
    look(ctx)
    clock.advance(minutes=5)
    engine.withdraw_gpus(session.handle, quiet)
    assert len(look(ctx)) == 1
    assert ctx.store.held() == []


def test_services_that_ended_give_the_gpu_back_and_up_takes_it_again(
    ctx: Context, session: Session, clock: Clock, engine: FakeRuntime
) -> None:
    engine.kill(ID, "page")
    idles(ctx, clock, seconds=SETTLE_S)
    assert look(ctx) == []  # the other one runs
    engine.kill(ID, "aside")
    assert look(ctx) == [Collected(session=ID, why="its services had ended", what="gpu")]
    assert note(ctx) == "its services had ended, so its GPU went back; `labctl up small-lab` takes one again"
    assert up(ctx, UpRequest(lab="small-lab", learner="ada"), quiet).session.gpus


def test_a_session_whose_services_are_lost_and_compute_on_keeps_its_gpu(
    ctx: Context, session: Session, clock: Clock, engine: FakeRuntime
) -> None:
    for name in ("page", "aside"):
        engine.kill(ID, name)
    clock.advance(hours=2)
    assert reclaim(ctx, quiet, hurry=True) == []  # nobody has looked at the GPU
    engine.inventory = machine(60)
    assert look(ctx) == []
    assert len(ctx.store.held()) == 1


def test_a_learner_has_time_to_mend_services_and_less_when_others_wait(
    ctx: Context, session: Session, clock: Clock, engine: FakeRuntime
) -> None:
    clock.advance(hours=1)
    acts(ctx, clock)
    for name in ("page", "aside"):
        engine.kill(ID, name)
    assert look(ctx) == []
    clock.advance(seconds=HURRIED_S)
    assert look(ctx) == []
    assert len(reclaim(ctx, quiet, hurry=True)) == 1


def test_an_up_that_died_on_its_way_gives_back(ctx: Context, session: Session, engine: FakeRuntime) -> None:
    engine.running.clear()
    ctx.store.put(replace(session, state=SessionState.STARTING, handle={"session": ID}))
    assert look(ctx) == [Collected(session=ID, why="its services had ended", what="gpu")]
    assert known(ctx).state is SessionState.STARTING
    assert ctx.store.held() == []


def test_what_an_up_took_that_died_before_its_session_was_there_goes_back(ctx: Context, session: Session) -> None:
    lost = replace(row(ctx), id=None, session="small-lab--bob", uuid="GPU-2")
    with session_lock(ctx.settings.home, lost.session), ctx.store.allocating() as table:
        table.take([lost])
        assert reclaim_names(ctx) == []
    assert reclaim_names(ctx) == ["small-lab--bob"]
    assert [each.session for each in ctx.store.held()] == [ID]


def reclaim_names(ctx: Context) -> list[str]:
    return [each.session for each in reclaim(ctx, quiet)]


def test_what_another_host_took_is_left_to_it(ctx: Context, session: Session) -> None:
    with ctx.store.allocating() as table:
        table.take([replace(row(ctx), id=None, session="small-lab--far", uuid="GPU-2", place="elsewhere:/home")])
    assert reclaim_names(ctx) == []


def test_an_expired_session_keeps_no_gpu_from_who_waits(ctx: Context, session: Session, clock: Clock) -> None:
    clock.advance(days=30)
    (found,) = reclaim(ctx, quiet)
    assert (found.session, found.why) == (ID, f"expired at {session.expires_at:%Y-%m-%d %H:%M} UTC")
    assert [each.what for each in gc(ctx, quiet)] == ["session"]


def test_down_gives_back_and_leaves_the_ledger(ctx: Context, session: Session, clock: Clock) -> None:
    clock.advance(hours=2)
    down(ctx, session, quiet)
    assert ctx.store.held() == []
    assert (row(ctx).why_released, row(ctx).released_at) == ("ended", clock().replace(microsecond=0))
    assert row(ctx).released_at - row(ctx).since == timedelta(hours=2)  # type: ignore[operator]
