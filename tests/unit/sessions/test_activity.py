"""What one look at a GPU and its session says. The looks are values here; real ones are in tests/integration."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from labctl.gpus.accounting import Accounted
from labctl.gpus.inventory import GpuProcess
from labctl.sessions.accounts import accounted
from labctl.sessions.activity import COUNTED_S, Device, Signs, looked
from labctl.sessions.idle import FRESH_S
from labctl.store.records import Held

BEGIN = datetime(2026, 1, 2, 8, 0, tzinfo=UTC)
NOW = BEGIN + timedelta(hours=2)
ROW = Held(
    session="a--ada",
    lab="a",
    learner="ada",
    uuid="GPU-1",
    name="H100",
    sharing="exclusive",
    since=BEGIN,
    total_mib=80_000,
)
IDLE = Device(utilization_percent=0, processes=())
UNSEEN = Signs(requests="")


def process(pid: int, memory_mib: int | None = 1000, session: str | None = None) -> GpuProcess:
    return GpuProcess(pid=pid, memory_mib=memory_mib, session=session)


def look(row: Held, device: Device = IDLE, signs: Signs = UNSEEN, *, at: datetime = NOW) -> Held:
    return looked(row, device, signs, at)


def watched(row: Held, *, seconds_ago: float = 100) -> Held:
    """A row that has been looked at regularly since, and nothing was done."""
    return replace(row, seen_at=NOW - timedelta(seconds=seconds_ago))


def seen(row: Held = ROW, device: Device = IDLE) -> Held:
    """A row after a first look long before NOW, and watched since."""
    return watched(look(row, device, at=BEGIN))


def test_a_first_look_and_one_after_a_long_time_begin_the_idleness() -> None:
    after = look(ROW)
    assert (after.active_at, after.seen_at) == (NOW, NOW)
    assert (after.busy_s, after.observed_s, after.warned_at) == (0, 0, None)
    assert look(watched(look(ROW, at=BEGIN), seconds_ago=FRESH_S + 1)).active_at == NOW
    assert look(watched(look(ROW, at=BEGIN), seconds_ago=FRESH_S)).active_at == BEGIN


@pytest.mark.parametrize(
    ("device", "signs"),
    [
        (Device(utilization_percent=6, processes=()), UNSEEN),
        (IDLE, Signs(requests="12 requests")),
        (IDLE, Signs(acted_at=NOW)),
        (Device(utilization_percent=None, processes=(process(7),)), UNSEEN),
        (Device(utilization_percent=None, processes=None), UNSEEN),
    ],
    ids=["load", "request", "command", "a new process where no load is told", "a GPU that tells nothing"],
)
def test_each_kind_of_use_counts_and_takes_the_warning_back(device: Device, signs: Signs) -> None:
    warned = replace(seen(), warned_at=NOW - timedelta(minutes=1))
    after = look(warned, device, signs)
    assert (after.active_at, after.warned_at) == (NOW, None)


@pytest.mark.parametrize(
    ("device", "signs"),
    [
        (Device(utilization_percent=5, processes=(process(7),)), UNSEEN),
        (IDLE, Signs(requests=None)),
        (IDLE, Signs(requests="")),
        (IDLE, Signs(acted_at=BEGIN - timedelta(hours=1))),
        (Device(utilization_percent=None, processes=()), UNSEEN),
    ],
    ids=["noise", "an engine that cannot be asked", "no request", "an old command", "no process"],
)
def test_what_is_no_use_leaves_the_warning(device: Device, signs: Signs) -> None:
    warned = replace(seen(), warned_at=NOW - timedelta(minutes=1))
    after = look(warned, device, signs)
    assert (after.active_at, after.warned_at) == (BEGIN, warned.warned_at)


def test_the_same_requests_as_before_are_no_new_ones() -> None:
    first = watched(look(ROW, signs=Signs(requests="12"), at=BEGIN))
    assert look(first, signs=Signs(requests="12")).active_at == BEGIN
    assert look(look(first, signs=Signs(requests=None)), signs=Signs(requests="12")).active_at == BEGIN
    assert look(first, signs=Signs(requests="13")).active_at == NOW


def test_a_mig_slice_is_in_use_when_its_processes_change_or_compute() -> None:
    slice_ = replace(ROW, uuid="MIG-1", sharing="mig")

    def device(pid: int, memory_mib: int, cpu_s: float | None) -> Device:
        times = {} if cpu_s is None else {pid: cpu_s}
        return Device(utilization_percent=None, processes=(process(pid, memory_mib),), cpu_s=times)

    first = watched(look(slice_, device(7, 100, 50.0), at=BEGIN), seconds_ago=100)
    waits, trains = look(first, device(7, 100, 52.0)), look(first, device(7, 100, 140.0))
    grown, other = look(first, device(7, 200, 50.0)), look(first, device(8, 100, 0.0))
    hidden = look(first, device(7, 100, None))
    assert [each.active_at for each in (waits, trains, grown, other, hidden)] == [BEGIN, NOW, NOW, NOW, NOW]
    assert grown.peak_memory_mib == 200


def test_a_load_on_a_shared_gpu_is_anybodys_who_is_there_and_split_in_the_ledger() -> None:
    shared = replace(seen(), sharing="timeslice")
    there = (process(7, 300, "a--ada"), process(8, 500, "b--bob"))
    both = look(shared, Device(utilization_percent=60, processes=there))
    assert (both.active_at, both.busy_s, both.observed_s, both.peak_memory_mib) == (NOW, 30, 100, 300)
    others = look(shared, Device(utilization_percent=60, processes=there[1:]))
    assert (others.active_at, others.busy_s, others.observed_s, others.peak_memory_mib) == (BEGIN, 0, 100, None)


def test_on_a_shared_gpu_a_process_that_cannot_be_told_may_be_the_learners() -> None:
    shared = replace(seen(), sharing="mps")
    hidden = look(shared, Device(utilization_percent=60, processes=(process(7, 300),)))
    assert (hidden.active_at, hidden.peak_memory_mib) == (NOW, None)


def test_who_computes_between_two_loads_of_the_gpu_is_at_work() -> None:
    def device(cpu_s: float) -> Device:
        return Device(utilization_percent=0, processes=(process(7, 100),), cpu_s={7: cpu_s})

    first = watched(look(ROW, device(50.0), at=BEGIN), seconds_ago=100)
    assert look(first, device(140.0)).active_at == NOW
    assert look(first, device(52.0)).active_at == BEGIN


def test_time_that_nobody_watched_is_not_counted() -> None:
    busy = Device(utilization_percent=50, processes=(process(7, 900),))
    after = look(watched(seen(), seconds_ago=2 * COUNTED_S), busy)
    assert (after.observed_s, after.busy_s) == (COUNTED_S, COUNTED_S / 2)
    unknown = look(seen(), Device(utilization_percent=None, processes=None))
    assert (unknown.observed_s, unknown.busy_s) == (0, 0)


def test_a_clock_that_jumps_back_takes_nothing_away() -> None:
    first = look(ROW, Device(utilization_percent=50, processes=()))
    after = look(first, at=BEGIN)
    assert (after.observed_s, after.active_at) == (0, NOW)


def test_peaks_stay() -> None:
    busy = Device(utilization_percent=50, processes=(process(7, 900), process(8, None)))
    assert look(look(ROW, busy)).peak_memory_mib == 900


def account(**values: int | bool) -> Accounted:
    return Accounted(uuid="GPU-1", pid=7, started_us=int(BEGIN.timestamp() * 1e6) + 1, **values)  # type: ignore[arg-type]


def test_the_drivers_account_fills_what_came_and_went_between_two_looks() -> None:
    ended = account(max_memory_mib=5000, utilization_percent=50, time_ms=600_000)
    runs = account(max_memory_mib=7000, utilization_percent=10, running=True)
    after = accounted(look(ROW), [ended, runs], set(), NOW)
    assert after.peak_memory_mib == 7000
    assert after.observed_s == 7200
    assert after.busy_s == pytest.approx(300 + 720)
    assert accounted(after, [], set(), NOW) == after


def test_accounts_of_others_are_not_the_sessions() -> None:
    before = Accounted(uuid="GPU-1", pid=7, started_us=1, max_memory_mib=5000, utilization_percent=90, time_ms=1000)
    elsewhere = replace(account(max_memory_mib=5000), uuid="GPU-2")
    assert accounted(ROW, [before, elsewhere], {7}, NOW) == ROW
    shared = replace(ROW, sharing="timeslice")
    assert accounted(shared, [account(max_memory_mib=5000, running=True)], {8}, NOW) == shared
    own = accounted(shared, [account(max_memory_mib=5000, running=True)], {7}, NOW)
    assert (own.peak_memory_mib, own.observed_s) == (5000, 0)
