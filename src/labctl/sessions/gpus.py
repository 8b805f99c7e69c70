"""How a session gets its GPUs: inventory, choice and record in one transaction; and the queue of those who wait."""

from __future__ import annotations

import time
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from labctl.errors import PreflightError
from labctl.gpus.allocation import Pool, refusal
from labctl.gpus.inventory import Allocation, HeldGpu, Holding, Inventory
from labctl.gpus.need import Need, modes
from labctl.gpus.parts import capable
from labctl.progress import Progress, Step
from labctl.sessions.claims import Claim, Refused, abandoned
from labctl.sessions.context import Context
from labctl.sessions.queue import still_waits
from labctl.store.records import Held, Session, Waiting

if TYPE_CHECKING:
    from labctl.runtimes.base import Runtime
    from labctl.store.allocations import Allocations

POLL_S = 1.0
AGAIN_S = 10.0
"""A waiting `up` asks again after so long at the latest: a GPU may have become free in other ways than by a release."""
HOPELESS_S = 300.0
"""So long is waited for GPUs that could not even come if everybody left: the driver may be back soon."""
LOOK_AROUND_S = 30.0
"""So often a waiting `up` looks for GPUs that can be taken back."""


def ask(
    ctx: Context,
    runtime: Runtime,
    claim: Claim,
    progress: Progress,
    *,
    wait: bool = False,
    priority: int = 0,
    record: bool = True,
) -> Allocation | Refused:
    """What the claim gets: what it holds already as long as that is well, else free GPUs that fit; recorded at once.

    Idle and abandoned GPUs are taken back before it is refused. With `wait` it stands in line for GPUs that could come:
    in the order of coming, a higher `priority` first; who dies there leaves the line. Without `record` nothing is written.
    """
    inventory = runtime.gpus()
    found = _attempt(ctx, inventory, claim, record=record)
    if isinstance(found, Refused) and record and _held_here(ctx, inventory):
        _look_around(ctx, inventory)
        found = _attempt(ctx, runtime.gpus(), claim)
    if isinstance(found, Allocation) or not (wait and record and found.could_come):
        return found
    try:
        return _stand_in_line(ctx, runtime, claim, progress, priority)
    finally:
        with ctx.store.allocating() as table:
            table.leave(claim.key)


def of_engine(runtime: Runtime, need: Need, *, insisted: bool) -> Allocation | Refused:
    """GPUs without names, for an engine that schedules. Unless `insisted`, it is refused when no node could ever have them."""
    if not insisted:
        inventory = runtime.gpus()
        if not could_ever(inventory, need):
            return Refused(why=inventory.problem or f"{inventory.source} has none that would do")
    nameless = (HeldGpu(uuid=str(n), name="", memory_mib=None, sharing="exclusive") for n in range(need.count))
    return Allocation(gpus=tuple(nameless))


def grant(
    ctx: Context, runtime: Runtime, claim: Claim, progress: Progress, *, wait: bool = False, priority: int = 0
) -> Allocation:
    """As `ask`. Raises PreflightError when there are none to be had."""
    if runtime.schedules:
        nameless = of_engine(runtime, claim.need, insisted=True)
        assert isinstance(nameless, Allocation)  # insisted
        return nameless
    found = ask(ctx, runtime, claim, progress, wait=wait, priority=priority)
    if isinstance(found, Refused):
        raise refused(claim, found)
    return found


def refused(claim: Claim, why: Refused, *, also: str = "") -> PreflightError:
    """The error for GPUs that could not be had; `also` is another way out."""
    ahead = "1 session waits" if why.ahead == 1 else f"{why.ahead} sessions wait"
    line = f"\n  {ahead} in line already" if why.ahead else ""
    wait = "`--wait` stands in line for one; " if why.could_come else ""
    return PreflightError(
        f"no GPU fits {claim.lab}: {why.why}{line}", f"{wait}{also}`labctl gpu list` shows every GPU and why not"
    )


def could_ever(inventory: Inventory, need: Need) -> bool:
    """Whether the GPUs that are here would do if nobody else used them."""
    empty = tuple(
        replace(
            gpu,
            processes=(),
            memory_free_mib=gpu.memory_total_mib,
            mig=tuple(replace(part, processes=(), memory_free_mib=part.memory_total_mib) for part in gpu.mig),
        )
        for gpu in inventory.gpus
    )
    return Pool(replace(inventory, gpus=empty)).take(need) is not None


def give_back(
    ctx: Context, session: str, why: str, *, but: Sequence[HeldGpu] = (), held_before: Container[int | None] = ()
) -> None:
    """End what the session holds itself, except one holding of each of `but`, and those with an id in `held_before`."""
    with ctx.store.allocating() as table:
        left = list(but)
        for each in reversed(table.held()):
            if each.session != session or each.purpose != "session" or each.id in held_before:
                continue
            if gpu(each) in left:
                left.remove(gpu(each))
            else:
                table.release_row(each.id, ctx.now(), why)


def holdings(held: list[Held], sessions: list[Session]) -> list[Holding]:
    """What is held, with the time until which it may last."""
    until = {session.id: session.expires_at for session in sessions}
    return [
        Holding(session=each.session, lab=each.lab, learner=each.learner, gpu=gpu(each), until=until.get(each.session))
        for each in held
    ]


def gpu(held: Held) -> HeldGpu:
    return HeldGpu(
        uuid=held.uuid,
        name=held.name,
        memory_mib=held.memory_mib,
        sharing=held.sharing,  # type: ignore[arg-type]  # written by us from a HeldGpu
        total_mib=held.total_mib,
    )


def _attempt(ctx: Context, inventory: Inventory, claim: Claim, *, record: bool = True) -> Allocation | Refused:
    """One transaction: nobody else's choice comes between reading and recording."""
    if not inventory.gpus:
        return Refused(why=inventory.problem or f"{inventory.source} knows no GPU")
    with _table(ctx, record=record) as table:
        mine = (claim.session, claim.purpose)
        for session, purpose in abandoned(ctx, [each for each in table.held() if (each.session, each.purpose) != mine]):
            if purpose == "session":  # what a job has left may compute on: `reclaim` ends that first
                table.release(session, ctx.now(), "its labctl died", purpose=purpose)
        held = table.held()
        own = [each for each in held if (each.session, each.purpose) == mine]
        kept = _still_serving(inventory, own, claim.need)
        if kept:
            return Allocation(gpus=tuple(gpu(each) for each in kept))
        others = [each for each in held if each not in own]
        pool = Pool(inventory, holdings(others, ctx.store.sessions(live=True)))
        queue = [each for each in table.waiting() if each.session == claim.key or still_waits(ctx, each)]
        ahead = _ahead(queue, claim)
        for each in ahead:
            pool.reserve(Need(**each.need), each.session)
        allocation = pool.take(claim.need, claim.key)
        if allocation is None:
            why, could_come = refusal(pool, claim.need), could_ever(inventory, claim.need)
            return Refused(why=why, could_come=could_come, ahead=len(ahead), waiting=len(queue))
        table.take([_held(ctx, claim, each) for each in allocation.gpus])
        table.leave(claim.key)
        return allocation


class _Rollback(Exception):
    """Leaves a transaction without a trace."""


@contextmanager
def _table(ctx: Context, *, record: bool) -> Iterator[Allocations]:
    if record:
        with ctx.store.allocating() as table:
            yield table
        return
    try:
        with ctx.store.allocating() as table:
            yield table
            raise _Rollback
    except _Rollback:
        return


def _still_serving(inventory: Inventory, own: list[Held], need: Need) -> list[Held]:
    """Of what is held, that which meets the need as it is now; empty when it does not suffice. The newest first: an
    exchange that was interrupted has left the old beside the new."""
    whole = {each.uuid: each for each in inventory.gpus if each.health.ok}
    well = {**whole, **{part.uuid: each for each in whole.values() for part in each.mig}}
    serving = {
        each.uuid: each
        for each in own
        if each.uuid in well and capable(well[each.uuid].compute_capability, need) and _meets(each, need)
    }
    return list(serving.values())[-need.count :] if len(serving) >= need.count else []


def _meets(held: Held, need: Need) -> bool:
    if held.sharing not in modes(need.sharing, need.isolation):
        return False
    if held.sharing in ("exclusive", "mig"):
        return held.total_mib is None or held.total_mib >= need.memory_mib
    return held.memory_mib == need.memory_mib


def _ahead(queue: list[Waiting], claim: Claim) -> list[Waiting]:
    """Who comes before the claim: everybody who waits, when it does not wait itself."""
    names = [each.session for each in queue]
    return queue[: names.index(claim.key)] if claim.key in names else queue


def _held(ctx: Context, claim: Claim, gpu: HeldGpu) -> Held:
    return Held(
        session=claim.session,
        lab=claim.lab,
        learner=claim.learner,
        purpose=claim.purpose,
        place=ctx.place,
        uuid=gpu.uuid,
        name=gpu.name,
        sharing=gpu.sharing,
        memory_mib=gpu.memory_mib,
        total_mib=gpu.total_mib,
        since=ctx.now(),
    )


def _held_here(ctx: Context, inventory: Inventory) -> bool:
    here = {uuid for gpu in inventory.gpus for uuid in (gpu.uuid, *(part.uuid for part in gpu.mig))}
    return any(each.uuid in here for each in ctx.store.held())


def _look_around(ctx: Context, inventory: Inventory) -> None:
    """Take back what nobody uses: of sessions that expired, whose services died, or that idle."""
    from labctl.sessions.activity import observe
    from labctl.sessions.reclaim import reclaim

    observe(ctx, inventory, ctx.now())
    reclaim(ctx, _silent, hurry=True)


def _silent(_step: Step) -> None:
    return


def _stand_in_line(ctx: Context, runtime: Runtime, claim: Claim, progress: Progress, priority: int) -> Allocation:
    since, looked_at, possible_at = ctx.now(), time.monotonic(), time.monotonic()
    while True:
        with ctx.store.allocating() as table:
            table.wait(_waiting(ctx, claim, priority, since))
        found = _attempt(ctx, runtime.gpus(), claim)
        if isinstance(found, Allocation):
            progress(Step(name="GPU", state="done", detail=", ".join(gpu.name for gpu in found.gpus)))
            return found
        if not found.could_come and time.monotonic() - possible_at > HOPELESS_S:
            raise refused(claim, found)
        possible_at = time.monotonic() if found.could_come else possible_at
        progress(Step(name="GPU", state="started", detail=_standing(found)))
        if time.monotonic() - looked_at > LOOK_AROUND_S:
            _look_around(ctx, runtime.gpus())
            looked_at = time.monotonic()
        _until_something_changes(ctx)


def _standing(found: Refused) -> str:
    place = f"place {found.ahead + 1} of {found.waiting}; " if found.waiting else ""
    return place + found.why.splitlines()[-1].strip()


def _until_something_changes(ctx: Context) -> None:
    """Return when somebody took, gave back, came or went. Asking the store is cheap; asking the driver is not."""
    before, deadline = _state(ctx), time.monotonic() + AGAIN_S
    while time.monotonic() < deadline and _state(ctx) == before:
        time.sleep(POLL_S)


def _state(ctx: Context) -> tuple[object, ...]:
    held, line = ctx.store.held(), ctx.store.waiting()
    return (*(each.id for each in held), None, *(each.session for each in line))


def _waiting(ctx: Context, claim: Claim, priority: int, since: Any) -> Waiting:
    return Waiting(
        session=claim.key,
        lab=claim.lab,
        learner=claim.learner,
        place=ctx.place,
        need=asdict(claim.need),
        priority=priority,
        since=since,
        seen_at=ctx.now(),
    )
