"""`extend`, `down`, `gc`: how long a session lives, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.errors import LabctlError
from labctl.sessions import workspace as workspaces
from labctl.sessions.context import Context
from labctl.store.lock import is_locked, session_lock
from labctl.store.records import Session, SessionState

if TYPE_CHECKING:
    from labctl.runtimes.base import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """One thing `gc` ended, or would end; `problem` is why it could not."""

    session: str
    why: str
    problem: str = ""


def extend(ctx: Context, session: Session, more_s: float) -> Session:
    """The session with its end `more_s` seconds later; counted from now when it has already expired."""
    base = max(session.expires_at or ctx.now(), ctx.now())
    return ctx.store.put(replace(session, expires_at=base + timedelta(seconds=more_s)))


def down(
    ctx: Context,
    session: Session,
    progress: Progress,
    *,
    purge: bool = False,
    waiting: Callable[[], None] = lambda: None,
) -> Session:
    """End the session and everything of it; the workspace stays, unless `purge`. Ending what is gone succeeds."""
    with session_lock(ctx.settings.home, session.id, waiting=waiting):
        ctx.store.set_state(session, SessionState.STOPPING)
        ctx.runtime(session.runtime).down(session.handle or {"session": session.id}, progress)
        if purge:
            workspaces.purge(Path(session.workspace))
        return ctx.store.put(
            replace(session, state=SessionState.STOPPED, handle={}, gpus=(), fingerprint="", detail="")
        )


def gc(ctx: Context, progress: Progress, *, dry_run: bool = False) -> list[Collected]:
    """End every expired session, finish every interrupted `down`, and remove what no session owns. Workspaces stay."""
    return [*_ending(ctx, progress, dry_run=dry_run), *_orphans(ctx, progress, dry_run=dry_run)]


def _ending(ctx: Context, progress: Progress, *, dry_run: bool) -> list[Collected]:
    found = []
    for session in ctx.store.sessions(live=True):
        interrupted = session.state is SessionState.STOPPING and not is_locked(ctx.settings.home, session.id)
        if session.expired(ctx.now()):
            why = f"expired at {session.expires_at:%Y-%m-%d %H:%M} UTC"
        elif interrupted:
            why = "its `down` was interrupted"
        else:
            continue
        problem = "" if dry_run else _problem(lambda session=session: down(ctx, session, progress))  # type: ignore[misc]
        found.append(Collected(session=session.id, why=why, problem=problem))
    return found


def _orphans(ctx: Context, progress: Progress, *, dry_run: bool) -> list[Collected]:
    runtime = (
        ctx.runtime("local")
        if ctx.settings.runtime not in ("docker", "kubernetes")
        else ctx.runtime(ctx.settings.runtime)
    )
    owned = {session.id for session in ctx.store.sessions(live=True)}
    orphans: dict[str, list[str]] = {}
    for remain in runtime.remains():
        if remain.session not in owned and not is_locked(ctx.settings.home, remain.session):
            orphans.setdefault(remain.session, []).append(remain.what)
    found = []
    for session, things in orphans.items():
        problem = "" if dry_run else _problem(lambda session=session: runtime.down({"session": session}, progress))  # type: ignore[misc]
        found.append(Collected(session=session, why=f"no session owns {', '.join(things)}", problem=problem))
    return found


def _problem(action: Callable[[], object]) -> str:
    """One session that cannot be ended must not keep the others from it."""
    try:
        action()
    except LabctlError as error:
        return error.what
    return ""
