"""GPUs that nobody uses go back: of labctls that died, of sessions whose services ended, and of those who idle."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from labctl.errors import LabctlError, NotFoundError
from labctl.runtimes.base import State
from labctl.sessions.activity import MAX_ASKED_AT_ONCE
from labctl.sessions.claims import abandoned
from labctl.sessions.collected import Collected
from labctl.sessions.context import Context
from labctl.sessions.idle import idleness, is_fresh
from labctl.sessions.presence import last_active
from labctl.sessions.queue import queue
from labctl.store.lock import is_locked, session_lock
from labctl.store.records import Held, Session, SessionState
from labctl.units import format_duration

if TYPE_CHECKING:
    from labctl.progress import Progress
    from labctl.runtimes.base import Handle

SETTLE_S = 300.0
"""For so long a learner may mend services that have ended before their GPU goes back ..."""
HURRIED_S = 60.0
"""... and for so long when somebody waits for one."""
_RUNS = (State.STARTING, State.RUNNING, State.UNHEALTHY)
_BROKEN = (State.FAILED, State.STOPPED)
_INTERRUPTED = (SessionState.STARTING, SessionState.STOPPING)
_AGAIN = "takes one again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why GPUs go back: `why` for the ledger, `detail` for the learner."""

    why: str
    detail: str


class _Busy(Exception):
    """Somebody works on the session."""


def reclaim(ctx: Context, progress: Progress, *, dry_run: bool = False, hurry: bool = False) -> list[Collected]:
    """What went back, or would in a `dry_run`; who is about to lose a GPU for idleness is warned first.

    Idleness is judged by what `observe` has noted in the last minutes. With `hurry` somebody waits: services that have
    ended are waited for a shorter time. Sessions that somebody works on, and those of other hosts, are left alone.
    """
    if not ctx.store.held():
        return []
    found = [*_abandoned(ctx, dry_run=dry_run), *_unused(ctx, progress, dry_run=dry_run, hurry=hurry)]
    if not dry_run:
        _warn(ctx)
    return found


def _abandoned(ctx: Context, *, dry_run: bool) -> list[Collected]:
    found = abandoned(ctx, ctx.store.held())
    if found and not dry_run:
        ended = {session for session, purpose in found if purpose == "job" and _end_jobs(ctx, session)}
        with ctx.store.allocating() as table:
            found = [each for each in abandoned(ctx, table.held()) if each[1] != "job" or each[0] in ended]
            for session, purpose in found:
                table.release(session, ctx.now(), _death(purpose), purpose=purpose)
    return [Collected(session=session, why=_death(purpose), what="gpu") for session, purpose in found]


def _end_jobs(ctx: Context, id: str) -> bool:
    """Whether nothing computes any more of jobs whose `labctl run` was killed: only then their GPUs are free."""
    session = ctx.store.session(id)
    if session is None:
        return True
    try:
        return ctx.runtime(session.runtime).end_jobs(session.handle or {"session": id})
    except (LabctlError, OSError):
        return False


def _death(purpose: str) -> str:
    return "`labctl run` died" if purpose == "job" else "`labctl up` died before it started anything"


def _unused(ctx: Context, progress: Progress, *, dry_run: bool, hurry: bool) -> list[Collected]:
    held = _held_by_sessions(ctx.store.held())
    sessions = [
        session
        for session in ctx.store.sessions(live=True)
        if session.id in held and ctx.is_here(session.place) and not is_locked(ctx.settings.home, session.id)
    ]
    if not sessions:
        return []
    with ThreadPoolExecutor(min(MAX_ASKED_AT_ONCE, len(sessions))) as pool:
        reasons = list(pool.map(lambda session: _reason(ctx, session, held[session.id], hurry=hurry), sessions))
    found = []
    for session, reason in zip(sessions, reasons, strict=True):
        if reason is not None:
            take = partial(_take_back, ctx, session.id, progress, hurry=hurry)
            found += [_collected(session, reason)] if dry_run else take()
    return found


def _take_back(ctx: Context, id: str, progress: Progress, *, hurry: bool) -> list[Collected]:
    """What was true when we looked may have changed while another session was at its turn; one at a time works on it.

    First what uses the GPUs ends, then the session says so, then they are free: whoever dies in between leaves nothing
    that is not so, and the next look goes on.
    """
    try:
        with session_lock(ctx.settings.home, id, waiting=_leave):
            session, rows = ctx.store.session(id), _held_by_sessions(ctx.store.held()).get(id, [])
            reason = _reason(ctx, session, rows, hurry=hurry) if session and session.live and rows else None
            if session is None or reason is None:
                return []
            try:
                handle = _withdraw(ctx, session, progress)
            except (LabctlError, OSError) as error:
                problem = error.what if isinstance(error, LabctlError) else str(error)
                return [replace(_collected(session, reason), problem=problem)]
            ctx.store.put(replace(session, handle=handle, fingerprint="", detail=reason.detail))
            with ctx.store.allocating() as table:
                table.release(id, ctx.now(), reason.why, purpose="session")
            return [_collected(session, reason)]
    except _Busy:
        return []


def _withdraw(ctx: Context, session: Session, progress: Progress) -> Handle:
    handle = session.handle or {"session": session.id}
    try:
        return ctx.runtime(session.runtime).withdraw_gpus(handle, progress)
    except NotFoundError:  # its `up` died before it started anything
        return handle


def _leave() -> None:
    raise _Busy


def _reason(ctx: Context, session: Session, rows: Sequence[Held], *, hurry: bool) -> Reason | None:
    """Why a session's GPUs go back now; None when they stay."""
    now = ctx.now()
    its = "its GPU" if len(rows) == 1 else f"its {len(rows)} GPUs"
    if session.expired(now):
        return Reason(why=f"expired at {session.expires_at:%Y-%m-%d %H:%M} UTC", detail=session.detail)
    acted_at = last_active(ctx.settings.home, session.id, now)
    idle = idleness(session, rows, wanted=bool(queue(ctx)))
    if idle and idle.is_over(now) and not (acted_at and idle.warned_at and acted_at >= idle.warned_at):
        lasted = format_duration(idle.lasts_s(now))
        detail = f"{its} went back at {now:%H:%M} UTC after {lasted} without use; `labctl up {session.lab}` {_AGAIN}"
        return Reason(why=f"idle for {lasted}", detail=detail)
    quiet_since = max(time for time in (acted_at, *(row.active_at or row.since for row in rows)) if time)
    settled_s = HURRIED_S if hurry else SETTLE_S
    is_quiet = all(is_fresh(row.seen_at, now) for row in rows) and (now - quiet_since).total_seconds() >= settled_s
    if (is_quiet or session.state in _INTERRUPTED) and _has_ended(ctx, session):
        detail = f"its services had ended, so {its} went back; `labctl up {session.lab}` {_AGAIN}"
        return Reason(why="its services had ended", detail=detail)
    return None


def _has_ended(ctx: Context, session: Session) -> bool:
    """Whether nothing of a session runs that should: after a reboot, a killed supervisor, an interrupted `up`.

    What lost its supervisor or its network may go on computing: the caller has seen that its GPUs are quiet. One whose services have all done their job is the learner's to work in; and so is one without services.
    """
    try:
        states = [each.state for each in ctx.runtime(session.runtime).state(session.handle, probe=False)]
    except (LabctlError, OSError):
        return False
    is_broken = any(state in _BROKEN for state in states) or session.state in _INTERRUPTED
    return is_broken and not any(state in _RUNS for state in states)


def _warn(ctx: Context) -> None:
    """Those who will lose their GPUs before long; `status` shows it to them."""
    if not _to_warn(ctx, ctx.store.held(), ctx.now()):
        return
    with ctx.store.allocating() as table:
        now = ctx.now()
        for row in _to_warn(ctx, table.held(), now):
            table.update(replace(row, warned_at=now))


def _to_warn(ctx: Context, held: Sequence[Held], now: datetime) -> list[Held]:
    rows, wanted = _held_by_sessions(held), bool(queue(ctx))
    found = []
    for session in filter(lambda session: ctx.is_here(session.place), ctx.store.sessions(live=True)):
        idle = idleness(session, rows.get(session.id, []), wanted=wanted)
        if idle is not None and idle.should_warn(now):
            found += rows[session.id]
    return found


def _held_by_sessions(held: Iterable[Held]) -> dict[str, list[Held]]:
    """What sessions hold themselves, by session; what is borrowed for a job ends with the job."""
    found: dict[str, list[Held]] = {}
    for row in held:
        if row.purpose == "session":
            found.setdefault(row.session, []).append(row)
    return found


def _collected(session: Session, reason: Reason) -> Collected:
    return Collected(session=session.id, why=reason.why, what="gpu")
