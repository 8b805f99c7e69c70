"""What `gpu list`, `watch` and `export` know of GPUs: inventory, holders and line in one view."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from labctl.gpus.inventory import Gpu, GpuProcess, Health, Inventory, MigInstance
from labctl.sessions.context import Context
from labctl.sessions.inventory import View, join, look
from labctl.sessions.queue import queue
from labctl.store.lock import session_lock
from labctl.store.records import Held, Session, SessionState, Waiting
from tests.conftest import Clock

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
GIB = 1024


def a_gpu(index: int = 0, **values: Any) -> Gpu:
    known = {"memory_total_mib": 80 * GIB, "memory_free_mib": 79 * GIB, "compute_capability": "9.0"}
    return Gpu(**{"index": index, "uuid": f"GPU-{index}", "name": "NVIDIA H100", **known, **values})


def held(learner: str, uuid: str = "GPU-0", **values: Any) -> Held:
    known = {"sharing": "timeslice", "memory_mib": 16 * GIB, "total_mib": 80 * GIB, "since": NOON}
    session = f"tune--{learner}"
    return Held(
        **{"session": session, "lab": "tune", "learner": learner, "uuid": uuid, "name": "H100", **known, **values}
    )


def session(learner: str) -> Session:
    return Session(
        id=f"tune--{learner}",
        lab="tune",
        lab_path="/labs/tune",
        learner=learner,
        runtime="local",
        profile="gpu",
        state=SessionState.RUNNING,
        workspace=f"/home/{learner}",
        created_at=NOON,
        expires_at=NOON + timedelta(hours=4),
    )


def waiting(learner: str, *, seen_at: datetime = NOON, place: str = "") -> Waiting:
    return Waiting(
        session=f"serve--{learner}",
        lab="serve",
        learner=learner,
        place=place,
        need={"count": 1, "memory_mib": 16 * GIB},
        since=NOON,
        seen_at=seen_at,
    )


def view(*gpus: Gpu, held: list[Held] | None = None) -> View:
    rows = held or []
    sessions = [session(each.learner) for each in rows]
    return join(Inventory(source="test", gpus=gpus), rows, sessions, [], NOON)


def test_holders_stand_at_their_gpu_with_the_end_of_their_session() -> None:
    first, second = view(a_gpu(0), a_gpu(1), held=[held("alice"), held("bob")]).rows
    assert [(use.held.learner, use.until) for use in first.uses] == [
        ("alice", NOON + timedelta(hours=4)),
        ("bob", NOON + timedelta(hours=4)),
    ]
    assert second.uses == ()


def test_a_gpu_with_room_is_usable_and_one_that_is_taken_says_by_whom() -> None:
    rows = view(a_gpu(0), a_gpu(1), held=[held("alice"), held("carol", "GPU-1", sharing="exclusive")]).rows
    assert rows[0].why_not is None
    assert rows[1].why_not is not None
    assert "carol/tune" in rows[1].why_not


def test_an_ill_gpu_says_what_mends_it() -> None:
    (row,) = view(a_gpu(health=Health(ok=False, reasons=("reboot the machine",)))).rows
    assert row.why_not == "reboot the machine"


def test_what_a_holder_uses_is_the_memory_of_its_processes_and_others_are_strangers() -> None:
    mine = GpuProcess(pid=1, memory_mib=4 * GIB, name="python", owner="alice", session="tune--alice")
    other = GpuProcess(pid=2, memory_mib=2 * GIB, name="game", owner="eve")
    (row,) = view(a_gpu(processes=(mine, mine, other)), held=[held("alice"), held("bob")]).rows
    assert [use.used_mib for use in row.uses] == [8 * GIB, 0]
    assert row.whole.strangers == (other,)


def test_where_processes_cannot_be_told_apart_nobody_is_said_to_use_nothing() -> None:
    hidden = GpuProcess(pid=1, memory_mib=4 * GIB)
    for processes in (None, (hidden,)):
        (row,) = view(a_gpu(processes=processes), held=[held("alice")]).rows
        assert row.uses[0].used_mib is None


def test_in_a_container_a_holder_without_processes_is_not_said_to_use_nothing() -> None:
    inventory = Inventory(source="test", gpus=(a_gpu(),))
    (row,) = join(inventory, [held("alice")], [session("alice")], [], NOON, sees_all=False).rows
    assert row.uses[0].used_mib is None


def test_memory_that_the_driver_does_not_tell_of_a_process_makes_the_sum_unknown() -> None:
    mine = GpuProcess(pid=1, memory_mib=None, name="python", owner="alice", session="tune--alice")
    (row,) = view(a_gpu(processes=(mine,)), held=[held("alice")]).rows
    assert row.uses[0].used_mib is None


def test_a_slice_has_holders_and_processes_of_its_own() -> None:
    process = GpuProcess(pid=1, memory_mib=GIB, owner="eve")
    slices = (
        MigInstance(uuid="MIG-1", profile="1g.10gb", memory_total_mib=10 * GIB, memory_free_mib=9 * GIB, processes=()),
        MigInstance(uuid="MIG-2", profile="1g.10gb", memory_total_mib=10 * GIB, processes=(process,)),
    )
    (row,) = view(a_gpu(mig_enabled=True, mig=slices), held=[held("alice", "MIG-1", sharing="mig")]).rows
    assert row.whole.uses == ()
    assert [len(part.uses) for part in row.slices] == [1, 0]
    assert row.slices[1].strangers == (process,)
    assert [use.held.learner for use in row.uses] == ["alice"]


def test_the_json_keeps_the_contract_and_says_null_for_what_is_unknown() -> None:
    found = view(a_gpu(memory_free_mib=None, processes=None), held=[held("alice", memory_mib=None)]).to_json()
    assert set(found) >= {"driver", "cuda", "source", "gpus", "links", "waiting"}
    (gpu,) = found["gpus"]
    assert set(gpu) >= {
        *("index", "uuid", "name", "memory_total_mib", "memory_free_mib", "compute_capability", "mig", "health"),
        *("processes", "allocations", "usable", "why_not", "sensors"),
    }
    assert (gpu["memory_free_mib"], gpu["processes"], gpu["sensors"]["power_w"]) == (None, None, None)
    (allocation,) = gpu["allocations"]
    assert (allocation["session"], allocation["memory_mib"], allocation["used_mib"]) == ("tune--alice", None, None)
    assert allocation["until"] == "2026-11-21T16:00:00Z"


def test_a_gpu_that_cannot_be_opened_is_held_by_nobody() -> None:
    (row,) = view(a_gpu(uuid="", health=Health(ok=False, reasons=("it fell off the bus",)))).rows
    assert row.uses == ()


def test_the_line_holds_those_who_still_wait_here(ctx: Context, clock: Clock) -> None:
    now = clock()
    with ctx.store.allocating() as table:
        table.wait(waiting("alice", seen_at=now))
        table.wait(waiting("bob", seen_at=now - timedelta(minutes=5), place=f"{ctx.place}-of-bob"))
        table.wait(waiting("carol", seen_at=now, place="elsewhere:/home"))
        table.wait(waiting("dan", seen_at=now))
    home = ctx.settings.home
    with session_lock(home, "serve--alice"), session_lock(home, "serve--bob"), session_lock(home, "serve--carol"):
        assert [each.learner for each in queue(ctx)] == ["alice"]
        (place,) = look(ctx, Inventory(source="test")).to_json()["waiting"]
    assert (place["place"], place["session"], place["purpose"]) == (1, "serve--alice", "session")
    assert queue(ctx) == []
