"""Who asks for GPUs, and whether the labctl that asked still lives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labctl.gpus.need import Need
from labctl.sessions.context import Context
from labctl.store.lock import is_locked
from labctl.store.records import Held

if TYPE_CHECKING:
    from labctl.labs.spec import GpuNeed


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Who asks for what. `purpose` is `session`, or `job` for a GPU that `labctl run` borrows."""

    session: str
    lab: str
    learner: str
    need: Need
    purpose: str = "session"

    @property
    def key(self) -> str:
        """Its name in the queue, and of the lock that shows that its labctl lives."""
        return lock_name(self.session, self.purpose)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Why nothing was given, GPU by GPU. `ahead` are in line before this one, of `waiting` altogether; `could_come`
    tells whether the GPUs here would do if nobody else had them."""

    why: str
    could_come: bool = False
    ahead: int = 0
    waiting: int = 0


def lock_name(session: str, purpose: str) -> str:
    """The lock (`store.lock.session_lock`) that a labctl holds while it works on a session, or runs a job in it."""
    return session if purpose == "session" else f"{session}.{purpose}"


def need_of(asked: GpuNeed) -> Need:
    """A profile's need as the allocator understands it."""
    return Need(
        count=asked.count,
        memory_mib=asked.memory,
        compute_capability=asked.compute_capability,
        sharing=asked.sharing,
        isolation=asked.isolation,
    )


def abandoned(ctx: Context, held: Iterable[Held]) -> list[tuple[str, str]]:
    """Session and purpose of what labctls of this place have left behind that died between choosing GPUs and starting a
    session, or while they ran a job. What was taken in another place is for that place to judge.

    The lock is looked at after the row was read and before the session is: an `up` lets go of it when both are on record.
    """
    holders = dict.fromkeys((each.session, each.purpose) for each in held if ctx.is_here(each.place))
    unlocked = [holder for holder in holders if not is_locked(ctx.settings.home, lock_name(*holder))]
    live = {session.id for session in ctx.store.sessions(live=True)} if unlocked else set()
    return [(session, purpose) for session, purpose in unlocked if purpose == "job" or session not in live]
