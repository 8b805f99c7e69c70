"""The learner's files. Nothing a learner wrote is overwritten or deleted here without a dated copy or a confirmation."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path, PurePosixPath

from labctl.errors import NotFoundError, PreflightError, UsageError

MARKER = ".labctl"


def starter(lab: Path) -> dict[str, Path]:
    """What a fresh workspace holds: name → source. The folder workspace/ of the lab, and its instructions."""
    files = {name: lab / "workspace" / name for name in _relative_files(lab / "workspace")}
    instructions = {"README.md": lab / "README.md"} if (lab / "README.md").is_file() else {}
    return instructions | files


def create(lab: Path, workspace: Path, session: str) -> bool:
    """Make the workspace from the lab's starter unless it is there; whether it was made.

    A folder that already has files keeps them all: only what is missing from the starter is added, once.
    Raises PreflightError when the place cannot be written.
    """
    marker = workspace / MARKER
    if marker.is_file():
        return False
    try:
        workspace.parent.mkdir(parents=True, exist_ok=True)
        if not workspace.exists():
            _create_whole(starter(lab), workspace, session)
        else:
            _add_missing(starter(lab), workspace)
            marker.write_text(session)
    except (PermissionError, NotADirectoryError) as error:
        raise PreflightError(
            f"the workspace {workspace} cannot be written: {error.strerror}", "choose another: --workspace DIR"
        ) from error
    return True


def keep_copy(workspace: Path, now: datetime) -> Path:
    """A dated copy of the whole workspace beside it, complete or not there at all."""
    copy = _free(workspace.with_name(f"{workspace.name}.{now:%Y-%m-%d-%H%M%S}"))
    partial = Path(tempfile.mkdtemp(prefix=f".{workspace.name}.", dir=workspace.parent))
    shutil.copytree(workspace, partial, symlinks=True, dirs_exist_ok=True, ignore=_unreadable)
    partial.rename(copy)
    return copy


def check(lab: Path, files: list[str]) -> None:
    """Raises NotFoundError or UsageError unless every one of `files` is a starter file."""
    for name in files:
        _starter_file(starter(lab), name)


def restore(lab: Path, workspace: Path, files: list[str]) -> list[str]:
    """Put starter files back; all of them, and nothing else left, when `files` is empty. What was put back.

    The folder itself stays, because running services stand in it. Raises NotFoundError, UsageError.
    """
    known = starter(lab)
    if files:
        chosen = [_starter_file(known, name) for name in files]
    else:
        _empty(workspace)
        chosen = sorted(known)
    for name in chosen:
        _put(known[name], workspace, name)
    return chosen


def overlay(folder: Path, workspace: Path, leave_out: frozenset[str]) -> list[str]:
    """Copy every file of `folder` over the workspace, except those named in `leave_out`. What was copied."""
    names = [name for name in sorted(_relative_files(folder)) if name not in leave_out]
    for name in names:
        _put(folder / name, workspace, name)
    return names


def purge(workspace: Path) -> None:
    """Delete the workspace. Raises UsageError for a folder that labctl did not make."""
    if not workspace.exists():
        return
    if not (workspace / MARKER).is_file() or workspace in (Path.home(), Path("/")):
        raise UsageError(
            f"{workspace} was not made by labctl, so it is not deleted", "delete it yourself if you are sure"
        )
    shutil.rmtree(workspace)


def _create_whole(files: Mapping[str, Path], workspace: Path, session: str) -> None:
    """All of it under another name first: a workspace that exists is complete."""
    partial = Path(tempfile.mkdtemp(prefix=f".{workspace.name}.", dir=workspace.parent))
    try:
        for name, source in files.items():
            _put(source, partial, name)
        (partial / MARKER).write_text(session)
        partial.chmod(0o755)
        partial.rename(workspace)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _add_missing(files: Mapping[str, Path], workspace: Path) -> None:
    for name, source in files.items():
        if not (workspace / name).exists():
            _put(source, workspace, name)


def _put(source: Path, workspace: Path, name: str) -> None:
    """Replace one file through a neighbour, never writing through a link that stands in its place."""
    folder = _real_folder(workspace, PurePosixPath(name).parent)
    descriptor, partial = tempfile.mkstemp(prefix=".labctl-", dir=folder)
    os.close(descriptor)
    shutil.copy(source, partial)
    target = folder / Path(name).name
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    Path(partial).rename(target)


def _real_folder(workspace: Path, relative: PurePosixPath) -> Path:
    folder = workspace
    for part in relative.parts:
        folder = folder / part
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            folder.unlink()
        folder.mkdir(exist_ok=True)
    return folder


def _starter_file(known: Mapping[str, Path], name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise UsageError(f"{name!r} leads out of the workspace", "give a path relative to the workspace")
    if str(path) not in known:
        raise NotFoundError(f"the starter has no file {name!r}", f"it has: {', '.join(sorted(known)[:12])}")
    return str(path)


def _empty(workspace: Path) -> None:
    for entry in workspace.iterdir():
        if entry.name == MARKER:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _relative_files(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return [path.relative_to(folder).as_posix() for path in found]


def _unreadable(folder: str, names: list[str]) -> list[str]:
    """Sockets, pipes and devices have no content to keep."""
    return [name for name in names if not _has_content(Path(folder) / name)]


def _has_content(path: Path) -> bool:
    return path.is_symlink() or path.is_dir() or path.is_file()


def _free(path: Path) -> Path:
    """`path`, or with a number behind it when it is taken."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free
