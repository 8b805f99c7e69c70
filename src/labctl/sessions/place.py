"""Where a workspace may not be: places whose reset or purge would take more with it than the learner's work on this lab."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from labctl.errors import PreflightError
from labctl.sessions import workspace as workspaces
from labctl.sessions.context import Context


def check_place(ctx: Context, workspace: Path, lab: Path, session: str) -> None:
    """Raises PreflightError when `workspace` holds, or lies in, something that is not this session's alone."""
    others = [(each, workspaces.of(ctx, each).folder) for each in ctx.store.sessions(live=True) if each.id != session]
    taken = [
        (ctx.settings.home, "labctl's own folder"),
        (lab, "the lab's folder"),
        *((folder, f"the workspace of {other.id}") for other, folder in others if folder),
    ]
    _refuse(workspace, [(place, what) for place, what in taken if _touches(workspace, place)])
    _refuse(workspace, [(place, what) for place, what in _too_much() if place.is_relative_to(workspace)])


def _too_much() -> list[tuple[Path, str]]:
    try:
        return [(Path.home().resolve(), "your home folder")]
    except RuntimeError:  # a user without one
        return [(Path("/root"), "the system")]


def _touches(one: Path, other: Path) -> bool:
    one, other = one.resolve(), other.resolve()
    return one.is_relative_to(other) or other.is_relative_to(one)


def _refuse(workspace: Path, found: Sequence[tuple[Path, str]]) -> None:
    if found:
        place, what = found[0]
        raise PreflightError(
            f"{workspace} cannot be a workspace: it holds or lies in {what} ({place})",
            "choose another: --workspace DIR",
        )
