"""Who holds what: read, chosen and recorded in one transaction."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from labctl.settings import Settings
from labctl.store.records import Held, Waiting
from labctl.store.store import Store

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture
def store(chosen: Settings) -> Store:
    return Store(chosen)


def held(session: str = "a--ada", uuid: str = "GPU-1", purpose: str = "session") -> Held:
    return Held(
        session=session, lab="a", learner="ada", uuid=uuid, name="A100", sharing="timeslice",
        memory_mib=8192, total_mib=81920, since=NOON, purpose=purpose,
    )  # fmt: skip


def waiting(session: str, *, minutes: int = 0, priority: int = 0) -> Waiting:
    since = NOON + timedelta(minutes=minutes)
    need = {"count": 1, "memory_mib": 1024}
    return Waiting(
        session=session,
        lab="a",
        learner="ada",
        place="h:/home",
        need=need,
        priority=priority,
        since=since,
        seen_at=since,
    )


def test_what_is_taken_is_held_until_it_is_released_and_stays_in_the_ledger(store: Store) -> None:
    with store.allocating() as table:
        table.take([held(), held(uuid="GPU-2"), held("b--bob")])
    assert [(each.session, each.uuid) for each in store.held()] == [
        ("a--ada", "GPU-1"), ("a--ada", "GPU-2"), ("b--bob", "GPU-1"),
    ]  # fmt: skip
    with store.allocating() as table:
        assert table.release("a--ada", NOON, "ended") == 2
        assert table.release("a--ada", NOON, "ended again") == 0
    assert [each.session for each in store.held()] == ["b--bob"]
    assert [each.why_released for each in store.held(released=True)] == ["ended", "ended", ""]


def test_a_job_is_released_without_the_session(store: Store) -> None:
    with store.allocating() as table:
        table.take([held(), held(purpose="job")])
        table.release("a--ada", NOON, "done", purpose="job")
        assert [each.purpose for each in table.held()] == ["session"]


def test_what_was_seen_of_its_use_is_kept_and_cannot_undo_a_release(store: Store) -> None:
    with store.allocating() as table:
        table.take([held()])
        (row,) = table.held()
        table.release("a--ada", NOON, "ended")
        table.update(replace(row, peak_memory_mib=4096, busy_s=1.5, active_at=NOON))
    (row,) = store.held(released=True)
    assert (row.peak_memory_mib, row.busy_s, row.active_at) == (4096, 1.5, NOON)
    assert (row.released_at, row.why_released) == (NOON, "ended")


def test_the_line_is_by_priority_then_by_time_and_keeps_places(store: Store) -> None:
    with store.allocating() as table:
        for each in (waiting("late", minutes=5), waiting("early"), waiting("urgent", minutes=9, priority=5)):
            table.wait(each)
        table.wait(replace(waiting("early", minutes=20), seen_at=NOON + timedelta(hours=1)))
    assert [each.session for each in store.waiting()] == ["urgent", "early", "late"]
    assert store.waiting()[1].since == NOON
    assert store.waiting()[1].seen_at == NOON + timedelta(hours=1)
    with store.allocating() as table:
        table.leave("early")
        table.leave("early")
    assert [each.session for each in store.waiting()] == ["urgent", "late"]


def test_nothing_is_recorded_when_the_transaction_fails(store: Store) -> None:
    def half_done() -> None:
        with store.allocating() as table:
            table.take([held()])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half_done()
    assert store.held() == []


def test_choosing_and_recording_of_many_processes_never_interleave(store: Store, home: Path) -> None:
    program = (
        "import sys; from labctl import settings; from labctl.store.store import Store;"
        "from tests.unit.store.test_allocations import held\n"
        "for n in range(5):\n"
        "    with Store(settings.load()).allocating() as table:\n"
        "        free = 20 - len(table.held())\n"
        "        if free > 0: table.take([held(f's{sys.argv[1]}-{n}')])\n"
    )
    root = Path(__file__).resolve().parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    started = [subprocess.Popen([sys.executable, "-c", program, str(n)], env=environment, cwd=home) for n in range(6)]
    assert [process.wait(timeout=60) for process in started] == [0] * 6
    assert len(store.held()) == 20
