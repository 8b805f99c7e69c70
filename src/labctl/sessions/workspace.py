"""The learner's files of a session: what a fresh workspace holds, what is put back, what is laid over it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from labctl.errors import NotFoundError, UsageError
from labctl.sessions.context import Context
from labctl.sessions.host_folder import HostFolder

if TYPE_CHECKING:
    from labctl.runtimes.base import Handle, Runtime
    from labctl.runtimes.workspace import Workspace
    from labctl.store.records import Session


def of(ctx: Context, session: Session) -> Workspace:
    """The workspace of a session, live or not. Asks no engine."""
    handle = session.handle or {"session": session.id}
    return at(ctx.runtime(session.runtime), handle, Path(session.workspace))


def at(runtime: Runtime, handle: Handle, place: Path) -> Workspace:
    """The workspace of the session that `handle` names: where the runtime keeps it, else the folder `place` of this host."""
    return runtime.workspace(handle) or HostFolder(place, str(handle["session"]))


def starter(lab: Path) -> dict[str, Path]:
    """What a fresh workspace holds: name → source. The folder workspace/ of the lab, and its instructions."""
    files = {name: lab / "workspace" / name for name in _relative_files(lab / "workspace")}
    instructions = {"README.md": lab / "README.md"} if (lab / "README.md").is_file() else {}
    return instructions | files


def check(lab: Path, files: list[str]) -> None:
    """Raises NotFoundError or UsageError unless every one of `files` is a starter file."""
    for name in files:
        _starter_file(starter(lab), name)


def restore(lab: Path, workspace: Workspace, files: list[str]) -> list[str]:
    """Put starter files back; all of them, and nothing else left, when `files` is empty. What was put back.

    Raises NotFoundError, UsageError, and what `Workspace.put` raises.
    """
    known = starter(lab)
    chosen = [_starter_file(known, name) for name in files] or sorted(known)
    workspace.put({name: known[name] for name in chosen}, alone=not files)
    return chosen


def overlay(folder: Path, workspace: Workspace, leave_out: frozenset[str]) -> list[str]:
    """Copy every file of `folder` over the workspace, except those named in `leave_out`. What was copied."""
    names = [name for name in sorted(_relative_files(folder)) if name not in leave_out]
    workspace.put({name: folder / name for name in names})
    return names


def _starter_file(known: Mapping[str, Path], name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise UsageError(f"{name!r} leads out of the workspace", "give a path relative to the workspace")
    if str(path) not in known:
        raise NotFoundError(f"the starter has no file {name!r}", f"it has: {', '.join(sorted(known)[:12])}")
    return str(path)


def _relative_files(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return [path.relative_to(folder).as_posix() for path in found]
