"""Which session a command means."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from labctl.errors import NotFoundError, UsageError
from labctl.labs import catalog
from labctl.sessions.context import Context
from labctl.sessions.host_folder import owner
from labctl.store.records import Session


def find(ctx: Context, lab: str | None, learner: str | None = None) -> Session:
    """The live session of `lab` (a lab's id or a session's). Without `lab`: the session whose workspace holds the current
    folder, else the only live one.

    Raises NotFoundError when there is none, UsageError when there are several.
    """
    live = ctx.store.sessions(live=True)
    if lab is None:
        return _by_place(live)
    name = Path(lab).absolute().name
    matching = [session for session in live if session.id == lab or session.lab == name]
    matching = [session for session in matching if learner in (None, session.learner)]
    own = [session for session in matching if session.learner == ctx.settings.learner]
    if learner is None and len(own) == 1:
        return own[0]
    if not matching:
        raise NotFoundError(f"no session of {lab!r} is running", _hint(ctx, live, name))
    return _only(matching)


def _by_place(live: Sequence[Session]) -> Session:
    here = _of_current_folder()
    for session in live:
        if session.id == here:
            return session
    if here is not None:
        lab = here.partition("--")[0]
        raise NotFoundError(f"{here}, whose workspace this is, is not running", f"start it with `labctl up {lab}`")
    if not live:
        raise NotFoundError("no session is running", "`labctl list` shows the labs, `labctl up LAB` starts one")
    return _only(live)


def _of_current_folder() -> str | None:
    """The session whose workspace holds the current folder, by the mark that `up` left there; None outside of workspaces."""
    try:
        folder = Path.cwd()
    except FileNotFoundError:  # deleted under us
        return None
    return next((found for place in (folder, *folder.parents) if (found := owner(place))), None)


def _only(sessions: Sequence[Session]) -> Session:
    if len(sessions) > 1:
        names = ", ".join(session.id for session in sessions)
        raise UsageError(f"{len(sessions)} sessions match: {names}", "name one of them, or go to its workspace")
    return sessions[0]


def _hint(ctx: Context, live: Sequence[Session], lab: str) -> str:
    catalog.find(lab, ctx.settings.labs)  # no such lab at all: that is the better answer
    running = f"; running: {', '.join(session.id for session in live)}" if live else ""
    return f"start it with `labctl up {lab}`{running}"
