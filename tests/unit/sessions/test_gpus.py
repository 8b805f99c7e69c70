"""How sessions get GPUs: nobody gets what another has, refusals explain themselves, and who waits is served in order."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.errors import LabctlError, PreflightError, UsageError
from labctl.gpus.inventory import Gpu, GpuProcess, Health, Inventory
from labctl.gpus.need import Need
from labctl.progress import Step
from labctl.runtimes.base import Problem
from labctl.sessions import gpus
from labctl.sessions.claims import Claim
from labctl.sessions.context import Context
from labctl.sessions.end import down
from labctl.sessions.queue import LAPSES_S
from labctl.sessions.up import UpRequest, prepare, up
from labctl.sessions.view import SessionView
from labctl.store.lock import session_lock
from labctl.store.records import SessionState, Waiting
from labctl.testing.runtime import FakeRuntime
from tests.conftest import LAB, Clock

GIB = 1024
NEED = "{count: 1, memory: 16GiB, sharing: %s}"


def lab_text(sharing: str = "exclusive", *, cpu: bool = True) -> str:
    """The small lab with a gpu profile too, or with it alone."""
    own = f"  gpu: {{memory: 64MiB, disk: 16MiB, gpu: {NEED % sharing}}}\n"
    small = "  cpu: {memory: 64MiB, disk: 16MiB}\n"
    return LAB.replace(small, (small if cpu else "") + own)


def quiet(_step: Step) -> None:
    return


def machine(count: int, total_gib: int = 80) -> Inventory:
    return Inventory(
        source="fake",
        gpus=tuple(
            Gpu(
                index=number,
                uuid=f"GPU-{number}",
                name="A100",
                memory_total_mib=total_gib * GIB,
                memory_free_mib=total_gib * GIB,
                compute_capability="8.0",
            )
            for number in range(count)
        ),
    )


@pytest.fixture
def lab(write_lab: Callable[..., Path], engine: FakeRuntime) -> str:
    write_lab(text=lab_text())
    engine.inventory = machine(2)
    return "small-lab"


def start(ctx: Context, learner: str, lab: str = "small-lab", **more: object) -> SessionView:
    return up(ctx, UpRequest(lab=lab, learner=learner, **more), quiet)  # type: ignore[arg-type]


def uuids(view: SessionView) -> list[str]:
    return [str(gpu["uuid"]) for gpu in view.session.gpus]


def test_each_learner_gets_a_gpu_of_ones_own_and_the_next_one_the_small_size(ctx: Context, lab: str) -> None:
    first, second, third = start(ctx, "ada"), start(ctx, "bob"), start(ctx, "cy")
    assert sorted(uuids(first) + uuids(second)) == ["GPU-0", "GPU-1"]
    assert (third.session.profile, uuids(third)) == ("cpu", [])
    assert ctx.store.session("small-lab--ada") == first.session


def test_a_gpu_that_is_insisted_on_is_refused_with_its_holders_and_until_when(ctx: Context, lab: str) -> None:
    start(ctx, "ada")
    start(ctx, "bob")
    with pytest.raises(PreflightError) as refused:
        start(ctx, "cy", profile="gpu")
    assert "GPU 0 (A100)" in refused.value.what
    assert "ada/small-lab until " in refused.value.what
    assert "bob/small-lab until " in refused.value.what
    assert "--wait" in refused.value.hint
    assert "--profile cpu" in refused.value.hint
    assert ctx.store.session("small-lab--cy") is None


def test_what_no_gpu_here_could_ever_give_is_not_waited_for(ctx: Context, lab: str, engine: FakeRuntime) -> None:
    engine.inventory = machine(2, total_gib=8)
    with pytest.raises(PreflightError) as refused:
        start(ctx, "ada", profile="gpu", wait=True)
    assert "8 of the 16 GiB asked" in refused.value.what
    assert "--wait" not in refused.value.hint
    assert ctx.store.waiting() == []


def test_a_second_up_keeps_what_the_session_has(ctx: Context, lab: str, engine: FakeRuntime) -> None:
    first = start(ctx, "ada")
    engine.kill("small-lab--ada", "page")
    assert uuids(start(ctx, "ada")) == uuids(first)
    assert len(ctx.store.held()) == 1


def test_a_gpu_that_fell_ill_is_exchanged(ctx: Context, lab: str, engine: FakeRuntime) -> None:
    first = start(ctx, "ada")
    ill, well = engine.inventory.gpus
    engine.inventory = replace(engine.inventory, gpus=(replace(ill, health=Health(ok=False, reasons=("lost",))), well))
    engine.kill("small-lab--ada", "page")
    assert (uuids(first), uuids(start(ctx, "ada"))) == (["GPU-0"], ["GPU-1"])
    assert [each.uuid for each in ctx.store.held()] == ["GPU-1"]


def test_down_gives_back(ctx: Context, lab: str) -> None:
    down(ctx, start(ctx, "ada").session, quiet)
    assert ctx.store.held() == []
    (row,) = ctx.store.held(released=True)
    assert row.released_at == ctx.now()


def test_changing_to_the_small_size_gives_back(ctx: Context, lab: str) -> None:
    start(ctx, "ada")
    assert uuids(start(ctx, "ada", profile="cpu")) == []
    assert ctx.store.held() == []


def test_what_was_taken_for_a_start_that_is_refused_goes_back(ctx: Context, lab: str, engine: FakeRuntime) -> None:
    engine.problems = [Problem(what="the disk is full")]
    with pytest.raises(PreflightError, match="disk is full"):
        start(ctx, "ada")
    assert ctx.store.held() == []


def test_a_start_that_fails_half_way_keeps_its_gpu_until_it_is_ended(
    ctx: Context, lab: str, engine: FakeRuntime
) -> None:
    engine.sick.add("page")
    with pytest.raises(LabctlError):
        start(ctx, "ada")
    session = ctx.store.session("small-lab--ada")
    assert session is not None
    assert session.state is SessionState.FAILED
    assert len(session.gpus) == 1


def test_what_a_labctl_that_died_before_its_session_was_on_record_had_taken_is_given_to_the_next(
    ctx: Context, lab: str, engine: FakeRuntime
) -> None:
    engine.inventory = machine(1)
    need = Need(memory_mib=16 * GIB)
    dead = Claim(session="small-lab--gone", lab="small-lab", learner="gone", need=need)
    with session_lock(ctx.settings.home, dead.session):
        gpus.grant(ctx, engine, dead, quiet)
        with pytest.raises(PreflightError):  # it lives as long as it holds its lock
            start(ctx, "ada", profile="gpu")
    assert uuids(start(ctx, "ada", profile="gpu")) == ["GPU-0"]
    assert [each.why_released for each in ctx.store.held(released=True)] == ["its labctl died", ""]


def test_foreign_use_is_seen_and_named(ctx: Context, lab: str, engine: FakeRuntime) -> None:
    (one,) = machine(1).gpus
    foreign = GpuProcess(pid=4121, memory_mib=70 * GIB, name="python3", owner="eve")
    engine.inventory = replace(machine(1), gpus=(replace(one, memory_free_mib=10 * GIB, processes=(foreign,)),))
    with pytest.raises(PreflightError, match=r"python3 of eve \(pid 4121, 70 GiB\)"):
        start(ctx, "ada", profile="gpu")


def test_shares_of_one_gpu_never_add_up_to_more_than_it_has(
    ctx: Context, write_lab: Callable[..., Path], engine: FakeRuntime
) -> None:
    write_lab(text=lab_text("timeslice"))
    engine.inventory = machine(1, total_gib=40)
    views = [start(ctx, name) for name in ("ada", "bob", "cy")]
    assert [view.session.profile for view in views] == ["gpu", "gpu", "cpu"]
    assert [(each.sharing, each.memory_mib) for each in ctx.store.held()] == [("timeslice", 16 * GIB)] * 2


def test_a_dry_run_takes_nothing(ctx: Context, lab: str) -> None:
    prepared = prepare(ctx, UpRequest(lab=lab, learner="ada"))
    assert prepared.plan.allocation is not None
    assert ctx.store.held() == []


def in_line(ctx: Context, session: str, **more: object) -> Waiting:
    need = {"count": 1, "memory_mib": 16 * GIB}
    made = Waiting(
        session=session, lab="small-lab", learner=session, place=ctx.place, need=need,
        since=ctx.now(), seen_at=ctx.now(),
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]


def test_nobody_jumps_the_line(ctx: Context, lab: str, engine: FakeRuntime) -> None:
    engine.inventory = machine(1)
    with session_lock(ctx.settings.home, "first"):
        with ctx.store.allocating() as table:
            table.wait(in_line(ctx, "first"))
        with pytest.raises(PreflightError, match="1 session waits in line already"):
            start(ctx, "ada", profile="gpu")
    # the one in line has died: its lock is free
    assert uuids(start(ctx, "ada", profile="gpu")) == ["GPU-0"]


def test_who_waits_in_another_home_of_this_host_has_a_place_as_long_as_it_shows(
    ctx: Context, lab: str, engine: FakeRuntime, clock: Clock
) -> None:
    engine.inventory = machine(1)
    with ctx.store.allocating() as table:
        table.wait(in_line(ctx, "first", place=ctx.place + "-of-bob"))
    with pytest.raises(PreflightError, match="1 session waits in line already"):
        start(ctx, "ada", profile="gpu")
    clock.advance(seconds=LAPSES_S + 1)
    assert uuids(start(ctx, "ada", profile="gpu")) == ["GPU-0"]


def test_what_another_home_took_is_for_it_to_judge(ctx: Context, lab: str, engine: FakeRuntime) -> None:
    engine.inventory = machine(1)
    elsewhere = replace(ctx, settings=replace(ctx.settings, home=ctx.settings.home / "of-bob"))
    need = Need(memory_mib=16 * GIB)
    gpus.grant(elsewhere, engine, Claim(session="x--bob", lab="x", learner="bob", need=need), quiet)
    with pytest.raises(PreflightError, match="bob/x"):
        start(ctx, "ada", profile="gpu")
    assert uuids(start(elsewhere, "ada", profile="gpu")) == ["GPU-0"]  # there it is seen that its labctl has died


def test_an_exchange_that_fails_keeps_what_the_services_run_on(
    ctx: Context, lab: str, engine: FakeRuntime, write_lab: Callable[..., Path]
) -> None:
    start(ctx, "ada")
    ill, well = engine.inventory.gpus
    engine.inventory = replace(engine.inventory, gpus=(replace(ill, health=Health(ok=False, reasons=("lost",))), well))
    engine.kill("small-lab--ada", "page")
    engine.problems = [Problem(what="the disk is full")]
    with pytest.raises(PreflightError):
        start(ctx, "ada")
    assert [each.uuid for each in ctx.store.held()] == ["GPU-0"]
    engine.problems = []
    assert uuids(start(ctx, "ada")) == ["GPU-1"]
    assert [each.uuid for each in ctx.store.held()] == ["GPU-1"]


def test_services_on_an_exchanged_gpu_start_again_even_after_a_kill_in_between(
    ctx: Context, lab: str, engine: FakeRuntime
) -> None:
    session = start(ctx, "ada").session
    claim = Claim(session=session.id, lab="small-lab", learner="ada", need=Need(memory_mib=16 * GIB))
    ill, well = engine.inventory.gpus
    engine.inventory = replace(engine.inventory, gpus=(replace(ill, health=Health(ok=False, reasons=("lost",))), well))
    gpus.grant(ctx, engine, claim, quiet)  # and killed
    assert sorted(each.uuid for each in ctx.store.held()) == ["GPU-0", "GPU-1"]
    assert uuids(start(ctx, "ada")) == ["GPU-1"]
    assert [each.uuid for each in ctx.store.held()] == ["GPU-1"]


def test_a_lab_that_asks_for_more_now_gets_it(
    ctx: Context, write_lab: Callable[..., Path], engine: FakeRuntime
) -> None:
    write_lab(text=lab_text("timeslice"))
    engine.inventory = machine(1)
    start(ctx, "ada")
    write_lab(text=lab_text("timeslice").replace("memory: 16GiB", "memory: 60GiB"))
    assert [gpu["memory_mib"] for gpu in start(ctx, "ada").session.gpus] == [60 * GIB]
    assert [each.memory_mib for each in ctx.store.held()] == [60 * GIB]
    with pytest.raises(PreflightError, match="20 of the 60 GiB"):
        start(ctx, "bob", profile="gpu")


def test_waiting_ends_with_the_gpu_when_its_holder_goes(
    ctx: Context, lab: str, engine: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.inventory = machine(1)
    holder = start(ctx, "ada").session
    seen: list[str] = []

    def told(step: Step) -> None:
        if step.name == "GPU":
            seen.append(step.detail)
            if len(seen) == 2:
                down(ctx, holder, quiet)

    monkeypatch.setattr(gpus, "POLL_S", 0.01)
    monkeypatch.setattr(gpus, "AGAIN_S", 0.05)
    view = up(ctx, UpRequest(lab=lab, learner="bob", profile="gpu", wait=True), told)
    assert uuids(view) == ["GPU-0"]
    assert seen[0].startswith("place 1 of 1; ")
    assert "ada/small-lab" in seen[0]
    assert ctx.store.waiting() == []


def test_giving_up_leaves_the_line(
    ctx: Context, lab: str, engine: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.inventory = machine(1)
    start(ctx, "ada")

    def interrupt(step: Step) -> None:
        if step.name == "GPU":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        up(ctx, UpRequest(lab=lab, learner="bob", profile="gpu", wait=True), interrupt)
    assert ctx.store.waiting() == []
    assert [each.learner for each in ctx.store.held()] == ["ada"]


def test_the_idle_timeout_is_the_settings_unless_it_is_given(ctx: Context, lab: str) -> None:
    assert start(ctx, "ada").session.idle_timeout_s == 3600
    assert start(ctx, "bob", idle_timeout_s=600.0).session.idle_timeout_s == 600
    assert start(ctx, "bob").session.idle_timeout_s == 600
    assert start(ctx, "bob", idle_timeout_s=math.inf).session.idle_timeout_s is None


def test_the_gpu_profile_can_run_without_its_gpus_until_one_is_wanted(
    ctx: Context, lab: str, write_lab: Callable[..., Path]
) -> None:
    editor = start(ctx, "ada", no_gpu=True)
    assert (editor.session.profile, uuids(editor), ctx.store.held()) == ("gpu", [], [])
    assert editor.services == ()  # its page needs a GPU
    assert start(ctx, "ada", no_gpu=True).changed == ()
    assert uuids(start(ctx, "ada")) == ["GPU-0"]
    assert uuids(start(ctx, "ada", no_gpu=True)) == []
    assert ctx.store.held() == []


def test_a_gpu_profile_that_asks_for_no_gpu_is_taken_only_when_it_is_named(
    ctx: Context, write_lab: Callable[..., Path], engine: FakeRuntime
) -> None:
    """Its environment is that of GPU hosts: gigabytes that a laptop has no use for."""
    write_lab(text=lab_text().replace(f", gpu: {NEED % 'exclusive'}", ""))
    engine.inventory = machine(2)
    assert start(ctx, "ada").session.profile == "cpu"
    assert start(ctx, "bob", profile="gpu").session.profile == "gpu"


def test_a_lab_without_a_gpu_profile_has_none_to_leave_out(ctx: Context, write_lab: Callable[..., Path]) -> None:
    write_lab()
    with pytest.raises(UsageError, match="--no-gpu"):
        start(ctx, "ada", no_gpu=True)
