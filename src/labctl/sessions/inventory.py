"""GPUs with everything that labctl knows of them: the one view that `gpu list`, `watch`, `export` and their JSON share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from labctl.gpus.allocation import Pool
from labctl.gpus.holders import sees_host_processes
from labctl.gpus.inventory import Gpu, GpuProcess, Inventory, MigInstance
from labctl.gpus.parts import MPS_SERVER
from labctl.sessions import gpus
from labctl.sessions import queue as queues
from labctl.sessions.context import Context
from labctl.store.records import Held, Session, Waiting, iso

Processes = tuple[GpuProcess, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A session on a GPU or a slice. `used_mib` is what its processes take now; None where that cannot be told."""

    held: Held
    until: datetime | None = None
    used_mib: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A GPU, or a MIG slice of it (`mig`): who holds it, and which processes on it belong to none of them.

    `strangers` is None where the driver does not tell processes.
    """

    uuid: str
    mig: MigInstance | None = None
    uses: tuple[Use, ...] = ()
    strangers: Processes = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One GPU: `whole` as a whole, `slices` its MIG slices; `why_not` says why nobody can be given any of it now."""

    gpu: Gpu
    whole: Part
    slices: tuple[Part, ...] = ()
    why_not: str | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        return (self.whole, *self.slices)

    @property
    def uses(self) -> tuple[Use, ...]:
        """Everybody who holds some of it."""
        return tuple(use for part in self.parts for use in part.uses)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What there is, at the time `at`; `waiting` is the line, first first."""

    at: datetime
    inventory: Inventory
    rows: tuple[Row, ...] = ()
    waiting: tuple[Waiting, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The object of `gpu list --json`."""
        inventory = self.inventory
        return {
            "driver": inventory.driver,
            "cuda": inventory.cuda,
            "source": inventory.source,
            "problem": inventory.problem,
            "mps": inventory.mps,
            "gpus": [_row_json(row) for row in self.rows],
            "links": [asdict(link) for link in inventory.links],
            "waiting": queues.to_json(self.waiting),
        }


def look(ctx: Context, inventory: Inventory) -> View:
    """The inventory together with what the store knows of it."""
    held, sessions = ctx.store.held(), ctx.store.sessions(live=True)
    return join(inventory, held, sessions, queues.queue(ctx), ctx.now(), sees_all=sees_host_processes())


def observed(ctx: Context, inventory: Inventory) -> View:
    """As `look`, and what is seen is noted for idleness and the ledger: for those who look again and again."""
    from labctl.sessions.activity import observe

    observe(ctx, inventory, ctx.now())
    return look(ctx, inventory)


def join(
    inventory: Inventory,
    held: Sequence[Held],
    sessions: Sequence[Session],
    waiting: Sequence[Waiting],
    at: datetime,
    *,
    sees_all: bool = True,
) -> View:
    """The view of values. Pure. Without `sees_all`, as in a container, processes that are not listed may be there."""
    holdings = gpus.holdings(list(held), list(sessions))
    pool = Pool(inventory, holdings)
    until = {(each.session, each.gpu.uuid): each.until for each in holdings}
    rows = []
    for gpu in inventory.gpus:
        slices = tuple(_part(part, held, until, sees_all=sees_all) for part in gpu.mig)
        whole = _part(gpu, held, until, sees_all=sees_all)
        rows.append(Row(gpu=gpu, whole=whole, slices=slices, why_not=pool.unusable(gpu)))
    return View(at=at, inventory=inventory, rows=tuple(rows), waiting=tuple(waiting))


def _part(
    device: Gpu | MigInstance,
    held: Sequence[Held],
    until: dict[tuple[str, str], datetime | None],
    *,
    sees_all: bool,
) -> Part:
    uuid, processes = device.uuid, device.processes
    own = [each for each in held if uuid and each.uuid == uuid]
    known = processes if sees_all else processes or None
    uses = tuple(
        Use(held=each, until=until.get((each.session, uuid)), used_mib=_used_mib(known, each.session)) for each in own
    )
    strangers = None if processes is None else _strangers(processes, {each.session for each in own})
    mig = device if isinstance(device, MigInstance) else None
    return Part(uuid=uuid, mig=mig, uses=uses, strangers=strangers)


def _strangers(processes: tuple[GpuProcess, ...], holders: set[str]) -> tuple[GpuProcess, ...]:
    """Those of nobody who holds it."""
    return tuple(
        process
        for process in processes
        if (process.session is None or process.session not in holders) and MPS_SERVER not in (process.name or "")
    )


def _used_mib(processes: Processes, session: str) -> int | None:
    """None too while there is a process of which nobody can say whose it is."""
    if processes is None or any(process.session is None and process.owner is None for process in processes):
        return None
    own = [process.memory_mib for process in processes if process.session == session]
    known = [memory for memory in own if memory is not None]
    return sum(known) if len(known) == len(own) else None


def _row_json(row: Row) -> dict[str, Any]:
    values = asdict(row.gpu)
    for part, slice_ in zip(values["mig"], row.slices, strict=True):
        part["allocations"] = [_use_json(use) for use in slice_.uses]
    allocations = [_use_json(use) for use in row.uses]
    return {**values, "allocations": allocations, "usable": row.why_not is None, "why_not": row.why_not}


def _use_json(use: Use) -> dict[str, Any]:
    held = use.held
    return {
        "session": held.session,
        "lab": held.lab,
        "learner": held.learner,
        "purpose": held.purpose,
        "uuid": held.uuid,
        "sharing": held.sharing,
        "memory_mib": held.memory_mib,
        "used_mib": use.used_mib,
        "since": iso(held.since),
        "until": iso(use.until) if use.until else None,
        "idle_warned_at": iso(held.warned_at) if held.warned_at else None,
    }
