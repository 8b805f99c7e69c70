"""A session together with what its engine says of it: what `up` and `status` answer."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from labctl.errors import LabctlError
from labctl.sessions.context import Context
from labctl.store.lock import is_locked
from labctl.store.records import Session, SessionState, iso

if TYPE_CHECKING:
    from labctl.runtimes.base import ServiceState

MAX_ASKED_AT_ONCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionView:
    """`services` is empty for a session that is not live; `changed` names what an `up` changed."""

    session: Session
    services: tuple[ServiceState, ...] = ()
    changed: tuple[str, ...] = ()
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """The object of `up --json` and `status --json`."""
        session = self.session
        return {
            "session": session.id,
            "lab": session.lab,
            "learner": session.learner,
            "runtime": session.runtime,
            "profile": session.profile,
            "state": session.state.value,
            "workspace": session.workspace,
            "expires_at": iso(session.expires_at) if session.expires_at else None,
            "services": {service.name: _service(service) for service in self.services},
            "gpus": [dict(gpu) for gpu in session.gpus],
            "changed": list(self.changed),
        }


def view(ctx: Context, session: Session) -> SessionView:
    """`session` as its engine sees it now. An engine that cannot be asked becomes a note, not an error."""
    if not session.live:
        return SessionView(session=session)
    try:
        services = tuple(ctx.runtime(session.runtime).state(session.handle)) if session.handle else ()
    except LabctlError as error:
        return SessionView(session=session, note=error.what)
    return SessionView(session=session, services=services, note=_note(ctx, session))


def views(ctx: Context, sessions: Sequence[Session]) -> list[SessionView]:
    """`view` of each session, asked at the same time."""
    live = [session for session in sessions if session.live]
    if len(live) <= 1:
        return [view(ctx, session) for session in sessions]
    with ThreadPoolExecutor(max_workers=min(MAX_ASKED_AT_ONCE, len(live))) as pool:
        return list(pool.map(lambda session: view(ctx, session), sessions))


def with_changes(view: SessionView, changed: Sequence[str]) -> SessionView:
    return replace(view, changed=tuple(changed))


def _note(ctx: Context, session: Session) -> str:
    if session.expired(ctx.now()):
        return "expired: `labctl gc` ends it and keeps the workspace, `labctl extend` gives it more time"
    busy = session.state in (SessionState.STARTING, SessionState.STOPPING)
    if busy and not is_locked(ctx.settings.home, session.id):
        verb = "up" if session.state is SessionState.STARTING else "down"
        return f"`labctl {verb}` was interrupted; `labctl {verb} {session.name_for(ctx.settings.learner)}` finishes it"
    return session.detail


def _service(service: ServiceState) -> dict[str, Any]:
    return {
        "state": service.state.value,
        "url": service.url,
        "ports": dict(service.ports),
        "reason": service.reason,
    }
