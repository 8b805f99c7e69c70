"""A session together with what its engine says of it: what `up` and `status` answer."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl import tree
from labctl.errors import LabctlError
from labctl.sessions import workspace as workspaces
from labctl.sessions.context import Context
from labctl.sessions.idle import idleness
from labctl.sessions.presence import last_active
from labctl.store.lock import is_locked
from labctl.store.records import Session, SessionState, iso
from labctl.units import format_mib

if TYPE_CHECKING:
    from labctl.runtimes.base import ServiceState

MAX_ASKED_AT_ONCE = 16
MEASURED_S = 0.2
"""So long may it take to see how much a workspace holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionView:
    """`where` is the workspace, for people; `services` is empty for a session that is not live; `changed` names what an `up` changed."""

    session: Session
    where: str
    services: tuple[ServiceState, ...] = ()
    changed: tuple[str, ...] = ()
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """The object of `up --json` and `status --json`."""
        session = self.session
        return {
            "session": session.id,
            "lab": session.lab,
            "learner": session.person,
            "runtime": session.runtime,
            "profile": session.profile,
            "state": session.state.value,
            "workspace": self.where,
            "expires_at": iso(session.expires_at) if session.expires_at else None,
            "services": {service.name: _service(service) for service in self.services},
            "gpus": [dict(gpu) for gpu in session.gpus],
            "changed": list(self.changed),
            "note": self.note,
        }


def view(ctx: Context, session: Session, *, measured: bool = True) -> SessionView:
    """`session` as its engine sees it now. An engine that cannot be asked becomes a note, not an error.

    With `measured`, a workspace that holds more than the lab's disk is noted too, where the runtime says how much that is.
    """
    place = workspaces.of(ctx, session)
    if not session.live:
        return SessionView(session=session, where=place.where)
    try:
        services = tuple(ctx.runtime(session.runtime).state(session.handle)) if session.handle else ()
    except LabctlError as error:
        return SessionView(session=session, note=error.what, where=place.where)
    note = _note(ctx, session) or (_disk_use(session, place.folder) if measured and place.folder else "")
    return SessionView(session=session, services=services, note=note, where=place.where)


def views(ctx: Context, sessions: Sequence[Session]) -> list[SessionView]:
    """`view` of each session, asked at the same time; the workspace is measured only of one alone."""
    live = [session for session in sessions if session.live]
    if len(live) <= 1:
        return [view(ctx, session) for session in sessions]
    with ThreadPoolExecutor(max_workers=min(MAX_ASKED_AT_ONCE, len(live))) as pool:
        return list(pool.map(lambda session: view(ctx, session, measured=False), sessions))


def with_changes(view: SessionView, changed: Sequence[str]) -> SessionView:
    return replace(view, changed=tuple(changed))


def idle_warning(ctx: Context, session: Session) -> str:
    """The warning that its GPU goes back, unless the learner has done something since; empty without one."""
    if not session.gpus or session.idle_timeout_s is None:
        return ""
    from labctl.sessions.queue import queue

    rows = [row for row in ctx.store.held() if row.session == session.id and row.purpose == "session"]
    idle = idleness(session, rows, wanted=bool(queue(ctx)))
    if idle is None or idle.warned_at is None:
        return ""
    acted_at = last_active(ctx.settings.home, session.id, ctx.now())
    return "" if acted_at and acted_at >= idle.warned_at else idle.warning(ctx.now())


def _note(ctx: Context, session: Session) -> str:
    if session.expired(ctx.now()):
        return "expired: `labctl gc` ends it and keeps the workspace, `labctl extend` gives it more time"
    busy = session.state in (SessionState.STARTING, SessionState.STOPPING)
    if busy and not is_locked(ctx.settings.home, session.id):
        verb = "up" if session.state is SessionState.STARTING else "down"
        return f"`labctl {verb}` was interrupted; `labctl {verb} {session.name_for(ctx.settings.learner)}` finishes it"
    return "; ".join(part for part in (session.detail, idle_warning(ctx, session)) if part)


def _disk_use(session: Session, workspace: Path) -> str:
    """In words, when the workspace holds more than the lab's disk: nothing else bounds it but the host's own."""
    allowed_mib = session.handle.get("disk_mib")
    if not allowed_mib:
        return ""
    used = tree.size(workspace, MEASURED_S)
    if used.bytes <= allowed_mib * 2**20:
        return (
            ""
            if used.whole
            else "not all of the workspace could be counted in time: it holds very many files, or closed folders"
        )
    amount = f"{'' if used.whole else 'at least '}{format_mib(used.bytes / 2**20)}"
    return f"the workspace holds {amount}, the lab's disk is {format_mib(allowed_mib)}: delete what is not needed"


def _service(service: ServiceState) -> dict[str, Any]:
    return {
        "state": service.state.value,
        "url": service.url,
        "ports": dict(service.ports),
        "reason": service.reason,
    }
