"""`reset`: the starter's files back, after a dated copy of what the learner has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import PreflightError
from labctl.sessions import workspace as workspaces
from labctl.sessions.context import Context
from labctl.store.lock import session_lock
from labctl.store.records import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """What `reset` did: where the learner's files are kept, and which starter files are back."""

    copy: str
    restored: tuple[str, ...]


def reset(ctx: Context, session: Session, files: list[str], *, waiting: Callable[[], None] = lambda: None) -> Reset:
    """Put back `files` (all when empty). Raises NotFoundError for a file that the starter does not have."""
    lab = Path(session.lab_path)
    place = workspaces.of(ctx, session)
    with session_lock(ctx.settings.home, session.id, waiting=waiting), place.held():
        workspaces.check(lab, files)
        copy = place.keep_copy(ctx.now())
        try:
            restored = workspaces.restore(lab, place, files)
        except OSError as error:
            raise PreflightError(f"{place.where} cannot be reset: {error}", f"your work is kept in {copy}") from error
        return Reset(copy=copy, restored=tuple(restored))
