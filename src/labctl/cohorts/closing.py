"""The deadline: everybody's files as they stand are kept, and judged at once as of the deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from labctl.cohorts.classroom import Done, OnDone, each
from labctl.cohorts.seat import Seat
from labctl.cohorts.spec import Cohort
from labctl.errors import LabctlError, PreflightError
from labctl.sessions import workspace as workspaces
from labctl.sessions.context import Context
from labctl.store.records import Session, iso

LATE_S = 3600.0
"""So long after the deadline it can still be closed: what is looked at later is not what stood then."""
POLL_S = 1.0


def wait_for(ctx: Context, cohort: Cohort, waiting: Callable[[float], None]) -> datetime:
    """The deadline, once it is there; `waiting` hears the seconds that are left.

    Raises PreflightError for a cohort without one, and long after it.
    """
    closes = cohort.window.closes
    if closes is None:
        raise PreflightError(
            f"{cohort.name} has no deadline", "give one in its file: `window: {closes: 2026-09-30 18:00}`"
        )
    while (left_s := (closes - ctx.now()).total_seconds()) > 0:
        waiting(left_s)
        time.sleep(min(POLL_S, left_s))
    if left_s < -LATE_S:
        raise PreflightError(
            f"{cohort.name} closed on {iso(closes)}, too long ago to say what stood then",
            "`labctl cohort verify FILE` judges what stands now, as late",
        )
    return closes


def close(
    ctx: Context, sessions: Sequence[Session], seats: Sequence[Seat], as_of: datetime, on_done: OnDone, *, at_once: int
) -> list[Done]:
    """First a copy of everybody's workspace is made, beside it; then each is judged, as of the deadline.

    Whoever goes on meanwhile and changes something is told of as a problem: the report is of the changed files, late, and
    the copy holds what stood at the deadline.
    """
    from labctl.sessions.verify import verify

    by_id = {session.id: session for session in sessions}
    attempts = ctx.store.attempts()
    due = [seat for seat in seats if not any(one.passed for one in attempts.get(seat.session, ()))]
    with ThreadPoolExecutor(at_once) as pool:  # the sooner, the nearer to the deadline
        copies = pool.map(lambda seat: _kept(ctx, by_id[seat.session]), due)
        kept = dict(zip((seat.session for seat in due), copies, strict=True))

    def one(seat: Seat) -> str:
        session, found = by_id[seat.session], kept[seat.session]
        if isinstance(found, LabctlError):
            raise found
        before, copy = found
        if workspaces.of(ctx, session).state() != before:
            report = verify(ctx, session)
            raise PreflightError(
                f"files were changed after the deadline: {report.score} of {report.max_score} points, counted as late",
                f"what stood at the deadline is in {copy}",
            )
        report = verify(ctx, session, as_of=as_of)
        return f"{report.score} of {report.max_score} points, kept in {copy}"

    return each(due, one, on_done, at_once=at_once)


def _kept(ctx: Context, session: Session) -> tuple[str, str] | LabctlError:
    """How the files stand and where their copy is, or why there is none: that is this learner's trouble, and the others are
    copied all the same."""
    place = workspaces.of(ctx, session)
    try:
        with place.held():
            return place.state(), place.keep_copy(ctx.now())
    except LabctlError as error:
        return error
