"""Who stands in line for a GPU of this host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labctl.sessions.context import Context
from labctl.store.lock import is_locked
from labctl.store.records import Waiting, iso

if TYPE_CHECKING:
    from collections.abc import Sequence

LAPSES_S = 30.0
"""Who waits in another home, and has not shown it for so long, has gone."""
_JOB = ".job"
"""The end of the name of one who waits for a GPU for `labctl run`."""


def queue(ctx: Context) -> list[Waiting]:
    """Those who wait, first in line first; who died there is left out."""
    return [each for each in ctx.store.waiting() if still_waits(ctx, each)]


def still_waits(ctx: Context, waiting: Waiting) -> bool:
    """Whether it stands in the line of this host: its labctl lives, or, in another home, has shown lately that it does."""
    if ctx.is_here(waiting.place):
        return is_locked(ctx.settings.home, waiting.session)
    is_fresh = (ctx.now() - waiting.seen_at).total_seconds() < LAPSES_S
    return is_fresh and waiting.place.partition(":")[0] == ctx.place.partition(":")[0]


def session_of(waiting: Waiting) -> str:
    """The session's id; it may not be on record yet."""
    return waiting.session.removesuffix(_JOB)


def purpose_of(waiting: Waiting) -> str:
    """`session`, or `job` for who wants to borrow a GPU."""
    return "job" if waiting.session.endswith(_JOB) else "session"


def to_json(line: Sequence[Waiting]) -> list[dict[str, Any]]:
    """The line as `gpu list --json` and `status --json` tell it; places count from 1."""
    return [
        {
            "place": place,
            "session": session_of(each),
            "lab": each.lab,
            "learner": each.learner,
            "purpose": purpose_of(each),
            "priority": each.priority,
            "since": iso(each.since),
            "need": dict(each.need),
        }
        for place, each in enumerate(line, start=1)
    ]
