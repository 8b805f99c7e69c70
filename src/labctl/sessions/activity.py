"""What is done with the GPUs that are held: one look, written into the allocations. Idleness and the ledger follow from it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from labctl.errors import LabctlError
from labctl.gpus.holders import cpu_s
from labctl.sessions.accounts import accounted
from labctl.sessions.context import Context
from labctl.sessions.idle import FRESH_S
from labctl.sessions.presence import last_active
from labctl.store.records import Held, Session

if TYPE_CHECKING:
    from labctl.gpus.accounting import Accounted
    from labctl.gpus.inventory import GpuProcess, Inventory

NOISE_PERCENT = 5
"""A GPU below that is not in use: a desktop, a driver's housekeeping, a server that waits."""
COUNTED_S = 300.0
"""For so long a look speaks at most; what was before it is not known."""
CPU_NOISE = 0.1
"""So many cores a server that waits does not need. MIG tells no load, and between two epochs, or two requests, there is
none: whose processes keep processors busy is at work."""
MAX_ASKED_AT_ONCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A GPU or a MIG slice at the time of a look; None is what the driver does not tell."""

    utilization_percent: float | None
    processes: tuple[GpuProcess, ...] | None
    cpu_s: Mapping[int, float] = field(default_factory=dict)
    """Processor time of each process so far, where it can be known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What was seen of a session beside its GPUs. `requests` is None when its engine could not be asked."""

    acted_at: datetime | None = None
    requests: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one session does on one GPU.

    `utilization_percent` is what is put down to it. `may_be_percent` is what it does at the most: on a shared GPU nobody
    tells whose work it is, and who works must not be taken for idle. `processes` is its processes and their memory as a
    text. None is unknown.
    """

    utilization_percent: float | None
    may_be_percent: float | None
    memory_mib: int | None
    processes: str | None
    cpu_s: float | None = None


def observe(ctx: Context, inventory: Inventory, now: datetime, *, accounts: Sequence[Accounted] = ()) -> None:
    """Look at every GPU that is held and in the inventory, and note what it is used for; `accounts` is what the driver
    keeps of processes (`gpus.nvml.accounting`), where it does.

    Others are another host's to look at. An engine that cannot be asked shows nothing; that is no error here.
    """
    devices = _devices(inventory)
    watched = {row.session for row in ctx.store.held() if row.uuid in devices}
    if not watched:
        return
    now = now.replace(microsecond=0)  # as times are kept: looks that follow each other fast would count seconds twice
    signs = _signs(ctx, watched, now)
    with ctx.store.allocating() as table:
        for row in table.held():
            if row.uuid in devices and row.session in signs:
                device = devices[row.uuid]
                seen = looked(row, device, signs[row.session], now)
                table.update(accounted(seen, accounts, _own(device, row.session), now))


def observe_all(ctx: Context) -> None:
    """`observe` on every runtime that has a session with GPUs, with the driver's account where it is this host's."""
    held = {row.session for row in ctx.store.held()}
    names = {session.runtime for session in ctx.store.sessions(live=True) if session.id in held} if held else set()
    for name in sorted(names):
        try:
            inventory = ctx.runtime(name).gpus()
        except (LabctlError, OSError):
            continue
        observe(ctx, inventory, ctx.now(), accounts=_accounts(ctx, inventory))


def looked(row: Held, device: Device, signs: Signs, now: datetime) -> Held:
    """`row` after a look at its GPU and its session. Pure."""
    load = load_of(row, device)
    known_requests, known_processes, known_cpu_s = _marks(row.marker)
    requests = known_requests if signs.requests is None else signs.requests
    asked = bool(requests) and requests != known_requests
    since_s = (now - row.seen_at).total_seconds() if row.seen_at else None
    cores = _cores(known_cpu_s, load.cpu_s, since_s)
    was_seen = since_s is not None and since_s <= FRESH_S  # what nobody saw was perhaps work
    used_at = now if asked or not was_seen or _is_in_use(load, known_processes, cores) else None
    active = max(time for time in (row.active_at or row.since, signs.acted_at, used_at) if time is not None)
    counted_s = min(max(0.0, since_s or 0.0), COUNTED_S) if load.utilization_percent is not None else 0.0
    return replace(
        row,
        active_at=active,
        warned_at=row.warned_at if row.warned_at and active < row.warned_at else None,
        seen_at=now,
        marker=json.dumps([requests, load.processes or "", load.cpu_s]),
        peak_memory_mib=_larger(row.peak_memory_mib, load.memory_mib),
        busy_s=row.busy_s + counted_s * (load.utilization_percent or 0.0) / 100,
        observed_s=row.observed_s + counted_s,
    )


def load_of(row: Held, device: Device) -> Load:
    """What is the session's own of what happens on a device. Pure.

    Alone on it, everything is, but what names another session. On a shared one its own processes are, and those whose
    session cannot be known when none is known to be its own; a load is split evenly among those who are there.
    """
    is_alone, whole = row.sharing in ("exclusive", "mig"), device.utilization_percent
    if device.processes is None:
        own_percent = whole if is_alone else None
        return Load(utilization_percent=own_percent, may_be_percent=whole, memory_mib=None, processes=None)
    unnamed = [process for process in device.processes if process.session is None]
    own = [process for process in device.processes if process.session == row.session]
    mine = [*own, *unnamed] if is_alone else own or unnamed
    parties = 1 if is_alone else len({process.session or process.pid for process in device.processes})
    memory = [process.memory_mib for process in mine if process.memory_mib is not None]
    may_be = whole if mine or is_alone or whole is None else 0.0
    return Load(
        utilization_percent=may_be / max(1, parties) if may_be is not None else None,
        may_be_percent=may_be,
        memory_mib=sum(memory) if memory and (is_alone or own) else None,
        processes=",".join(sorted(f"{process.pid}:{process.memory_mib}" for process in mine)),
        cpu_s=_sum([device.cpu_s.get(process.pid) for process in mine]),
    )


def _sum(seconds: Sequence[float | None]) -> float | None:
    """None when one of them is not known, or there are none."""
    known = [each for each in seconds if each is not None]
    return sum(known) if known and len(known) == len(seconds) else None


def _is_in_use(load: Load, known_processes: str, cores: float | None) -> bool:
    """Where no utilisation is told (MIG, some virtual GPUs): by processes that come, change or compute. Unknown is not idle."""
    if cores is not None and cores > CPU_NOISE:
        return True
    if load.may_be_percent is not None:
        return load.may_be_percent > NOISE_PERCENT
    if load.processes is None or load.processes not in ("", known_processes):
        return True
    return load.processes != "" and cores is None


def _cores(before_s: float | None, now_s: float | None, passed_s: float | None) -> float | None:
    """How many cores were busy between two looks."""
    if before_s is None or now_s is None or not passed_s:
        return None
    return max(0.0, now_s - before_s) / passed_s


def _devices(inventory: Inventory) -> dict[str, Device]:
    found = {}
    for gpu in inventory.gpus:
        found[gpu.uuid] = _device(gpu.sensors.utilization_percent, gpu.processes)
        for part in gpu.mig:
            found[part.uuid] = _device(None, part.processes)
    return found


def _device(utilization_percent: float | None, processes: tuple[GpuProcess, ...] | None) -> Device:
    times = {process.pid: cpu_s(process.pid) for process in processes or ()}
    known = {pid: seconds for pid, seconds in times.items() if seconds is not None}
    return Device(utilization_percent=utilization_percent, processes=processes, cpu_s=known)


def _signs(ctx: Context, ids: Collection[str], now: datetime) -> dict[str, Signs]:
    sessions = [each for each in ctx.store.sessions(live=True) if each.id in ids and ctx.is_here(each.place)]
    if not sessions:
        return {}
    with ThreadPoolExecutor(min(MAX_ASKED_AT_ONCE, len(sessions))) as pool:
        found = pool.map(partial(_signs_of, ctx, now), sessions)
        return {session.id: signs for session, signs in zip(sessions, found, strict=True)}


def _signs_of(ctx: Context, now: datetime, session: Session) -> Signs:
    acted_at = last_active(ctx.settings.home, session.id, now)
    try:
        requests = ctx.runtime(session.runtime).requests(session.handle or {"session": session.id})
    except (LabctlError, OSError):
        return Signs(acted_at=acted_at)
    return Signs(acted_at=acted_at, requests=requests)


def _accounts(ctx: Context, inventory: Inventory) -> Sequence[Accounted]:
    if inventory.source != "NVML":
        return ()
    from labctl.gpus import nvml

    return nvml.accounting(ctx.settings.nvml_library)


def _own(device: Device, session: str) -> set[int]:
    return {process.pid for process in device.processes or () if process.session == session}


def _larger(one: int | None, other: int | None) -> int | None:
    return max((value for value in (one, other) if value is not None), default=None)


def _marks(marker: str) -> tuple[str, str, float | None]:
    """Requests, processes and their processor time at the last look."""
    requests, processes, seconds = json.loads(marker) if marker else ("", "", None)
    return requests, processes, seconds
