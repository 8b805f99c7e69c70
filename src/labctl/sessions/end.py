"""`extend`, `down`, `gc`: how long a session lives, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from labctl.errors import LabctlError, NotFoundError
from labctl.sessions import notebooks
from labctl.sessions import workspace as workspaces
from labctl.sessions.collected import Collected
from labctl.sessions.context import Context
from labctl.store.lock import is_locked, session_lock
from labctl.store.records import Session, SessionState, iso

if TYPE_CHECKING:
    from labctl.progress import Progress
    from labctl.runtimes.base import Runtime

__all__ = ["Collected", "down", "ends_at", "extend", "extend_to", "gc"]


def extend(ctx: Context, session: Session, more_s: float, *, waiting: Callable[[], None] = lambda: None) -> Session:
    """The session with its end `more_s` seconds later; counted from now when it has already expired.

    Raises NotFoundError when it ended meanwhile.
    """
    with session_lock(ctx.settings.home, session.id, waiting=waiting):
        fresh = _still_live(ctx, session)
        base = max(fresh.expires_at or ctx.now(), ctx.now())
        return ends_at(ctx, fresh, base + timedelta(seconds=more_s))


def extend_to(ctx: Context, session: Session, until: datetime) -> Session:
    """The session, which ends at `until` or later; doing it again changes nothing. One without an end keeps that.

    Raises NotFoundError when it ended meanwhile.
    """
    with session_lock(ctx.settings.home, session.id):
        fresh = _still_live(ctx, session)
        if fresh.expires_at is None or fresh.expires_at >= until:
            return fresh
        return ends_at(ctx, fresh, until)


def ends_at(ctx: Context, session: Session, until: datetime) -> Session:
    """The session, which ends at `until`. The caller holds its lock.

    The engine is told first: what ends sessions there without us must never know of an earlier end than the store.
    """
    if session.handle:
        ctx.runtime(session.runtime).set_expiry(session.handle, iso(until))
    return ctx.store.put(replace(session, expires_at=until))


def _still_live(ctx: Context, session: Session) -> Session:
    fresh = ctx.store.session(session.id)
    if fresh is None or not fresh.live:
        raise NotFoundError(f"{session.id} has ended", f"`labctl up {session.lab}` starts it again")
    return fresh


def down(
    ctx: Context,
    session: Session,
    progress: Progress,
    *,
    purge: bool = False,
    waiting: Callable[[], None] = lambda: None,
) -> Session:
    """End the session and everything of it; the workspace stays, unless `purge`. Ending what is gone succeeds."""
    workspace = workspaces.of(ctx, session)
    if purge:
        workspace.check_purge()
    with session_lock(ctx.settings.home, session.id, waiting=waiting):
        ended = _end(ctx, ctx.store.session(session.id) or session, progress)
        if purge:
            workspace.purge()
    return ended


def gc(ctx: Context, progress: Progress, *, dry_run: bool = False) -> list[Collected]:
    """End every expired session, finish every interrupted `down`, remove what no session owns, and take back the GPUs that
    nobody uses. Workspaces stay.
    """
    from labctl.sessions.activity import observe_all
    from labctl.sessions.reclaim import reclaim

    ended = [*_ending(ctx, progress, dry_run=dry_run), *_orphans(ctx, progress, dry_run=dry_run)]
    observe_all(ctx)
    named = {each.session for each in ended}  # what a dry run would end has its GPUs still
    return [*ended, *(each for each in reclaim(ctx, progress, dry_run=dry_run) if each.session not in named)]


def _end(ctx: Context, session: Session, progress: Progress, why: str = "ended") -> Session:
    """The session, ended. The caller holds its lock."""
    from labctl.sessions.claims import lock_name

    ctx.store.set_state(session, SessionState.STOPPING)
    ctx.runtime(session.runtime).down(session.handle or {"session": session.id}, progress)
    notebooks.forget(ctx.settings.home, session.id)
    empty = replace(session, handle={}, gpus=(), fingerprint="", detail="")
    ended = ctx.store.put(replace(empty, state=SessionState.STOPPED, why_ended=why))
    with ctx.store.allocating() as table:
        table.release(session.id, ctx.now(), "ended")
        for purpose in ("session", "job"):
            table.leave(lock_name(session.id, purpose))
    return ended


def _ending(ctx: Context, progress: Progress, *, dry_run: bool) -> list[Collected]:
    found = []
    for session in ctx.store.sessions(live=True):
        why = _why_ended(ctx, session) if ctx.is_here(session.place) else ""
        if why and not is_locked(ctx.settings.home, session.id):
            problem = "" if dry_run else _problem(partial(_end_if_due, ctx, session.id, progress))
            found.append(Collected(session=session.id, why=why, problem=problem))
    return found


def _end_if_due(ctx: Context, id: str, progress: Progress) -> None:
    """What was due when we looked may have been extended or started again while another session was being ended."""
    with session_lock(ctx.settings.home, id):
        session = ctx.store.session(id)
        if session and _why_ended(ctx, session):
            _end(ctx, session, progress, "expired" if session.expired(ctx.now()) else "ended")


def _why_ended(ctx: Context, session: Session) -> str:
    if session.expired(ctx.now()):
        return f"expired at {session.expires_at:%Y-%m-%d %H:%M} UTC"
    return "its `down` was interrupted" if session.state is SessionState.STOPPING else ""


def _orphans(ctx: Context, progress: Progress, *, dry_run: bool) -> list[Collected]:
    return [
        found for name in ctx.runtimes for found in _orphans_of(ctx, ctx.runtime(name), name, progress, dry_run=dry_run)
    ]


def _orphans_of(ctx: Context, runtime: Runtime, name: str, progress: Progress, *, dry_run: bool) -> list[Collected]:
    try:
        remains = runtime.remains()
    except LabctlError as error:  # an engine that is not here has nothing of ours, unless somebody has used it
        is_used = name == ctx.settings.runtime or any(each.runtime == name for each in ctx.store.sessions(live=True))
        return [Collected(session=f"({name})", why="", problem=error.what)] if is_used else []
    things: dict[str, list[str]] = {}
    for remain in remains:
        if _is_orphan(ctx, remain.session, name) and not is_locked(ctx.settings.home, remain.session):
            things.setdefault(remain.session, []).append(remain.what)
    found = []
    for session, what in things.items():
        problem = "" if dry_run else _problem(partial(_end_orphan, ctx, runtime, name, session, progress))
        found.append(Collected(session=session, why=f"no session owns {', '.join(what)}", problem=problem))
    return found


def _end_orphan(ctx: Context, runtime: Runtime, name: str, id: str, progress: Progress) -> None:
    with session_lock(ctx.settings.home, id):
        if _is_orphan(ctx, id, name):
            runtime.down({"session": id}, progress)


def _is_orphan(ctx: Context, id: str, runtime: str) -> bool:
    """Whether no live session owns it; one that lives on another runtime does not own what is left on this one."""
    session = ctx.store.session(id)
    return session is None or not session.live or session.runtime != runtime


def _problem(action: Callable[[], object]) -> str:
    """One session that cannot be ended must not keep the others from it."""
    try:
        action()
    except LabctlError as error:
        return error.what
    except OSError as error:
        return str(error)
    return ""
