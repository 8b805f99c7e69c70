"""The learner's files. Nothing a learner wrote is overwritten or deleted here without a dated copy or a confirmation.

A session's processes go on changing them meanwhile, so everything is done below one descriptor of the folder (labctl.tree), and
what is made in it belongs to its owner.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path, PurePosixPath

from labctl import tree
from labctl.errors import NotFoundError, PreflightError, UsageError

MARKER = ".labctl"
_ADOPTED = "adopted"


def starter(lab: Path) -> dict[str, Path]:
    """What a fresh workspace holds: name → source. The folder workspace/ of the lab, and its instructions."""
    files = {name: lab / "workspace" / name for name in _relative_files(lab / "workspace")}
    instructions = {"README.md": lab / "README.md"} if (lab / "README.md").is_file() else {}
    return instructions | files


def owner(workspace: Path) -> str | None:
    """The session that `workspace` was made for, by the mark that `create` left in it; None without one."""
    return _marked(workspace)[0]


def create(lab: Path, workspace: Path, session: str) -> bool:
    """Make the workspace from the lab's starter unless it is there; whether it was made.

    A folder that already has files keeps them all: only what is missing from the starter is added, once, and the folder is
    marked as adopted, so that `purge` leaves it alone. Raises PreflightError when the place cannot be written, belongs to
    another session, or has something in the way of the starter's folders.
    """
    marked = owner(workspace)
    if marked == session:
        return False
    if marked is not None:
        raise PreflightError(f"{workspace} is the workspace of {marked}", "choose another: --workspace DIR")
    try:
        workspace.parent.mkdir(parents=True, exist_ok=True)
        if not workspace.exists():
            _create_whole(starter(lab), workspace, session)
        else:
            _add_missing(starter(lab), workspace, f"{session}\n{_ADOPTED}\n")
    except (PermissionError, NotADirectoryError) as error:
        raise PreflightError(
            f"the workspace {workspace} cannot be written: {error.strerror}", "choose another: --workspace DIR"
        ) from error
    return True


def keep_copy(workspace: Path, now: datetime) -> Path:
    """A dated copy of the whole workspace beside it, complete or not there at all. Raises NotFoundError, PreflightError."""
    if not workspace.is_dir():
        raise NotFoundError(f"the workspace {workspace} is gone", "`labctl up LAB` makes it anew")
    copy = _free(workspace.with_name(f"{workspace.name}.{now:%Y-%m-%d-%H%M%S}"))
    try:
        partial = Path(tempfile.mkdtemp(prefix=f".{workspace.name}.", dir=workspace.parent))
        try:
            with tree.opened(workspace) as source, tree.opened(partial) as target:
                tree.copy(source, target)
            partial.rename(copy)
        except BaseException:
            _remove(partial)
            raise
    except OSError as error:
        hint = "free some space" if error.errno == errno.ENOSPC else "mend its permissions first"
        raise PreflightError(f"{workspace} cannot be copied: {error.strerror}", hint) from error
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
    chosen = [_starter_file(known, name) for name in files] or sorted(known)
    with tree.opened(workspace) as folder:
        if not files:
            tree.empty(folder, keep=(MARKER,))
        for name in chosen:
            tree.put(known[name], folder, PurePosixPath(name))
    return chosen


def overlay(folder: Path, workspace: Path, leave_out: frozenset[str]) -> list[str]:
    """Copy every file of `folder` over the workspace, except those named in `leave_out`. What was copied."""
    names = [name for name in sorted(_relative_files(folder)) if name not in leave_out]
    with tree.opened(workspace) as place:
        for name in names:
            tree.put(folder / name, place, PurePosixPath(name))
    return names


def check_purge(workspace: Path, session: str) -> None:
    """Raises UsageError unless `workspace` was made by labctl for `session`, or is gone."""
    marked, adopted = _marked(workspace)
    if workspace.exists() and (marked != session or adopted or workspace.is_symlink()):
        raise UsageError(
            f"{workspace} was not made by labctl, so it is not deleted", "delete it yourself if you are sure"
        )


def purge(workspace: Path, session: str) -> None:
    """Delete the workspace. Raises UsageError for a folder that labctl did not make."""
    check_purge(workspace, session)
    if workspace.exists():
        _remove(workspace)


def _create_whole(files: Mapping[str, Path], workspace: Path, session: str) -> None:
    """All of it under another name first: a workspace that exists is complete."""
    partial = Path(tempfile.mkdtemp(prefix=f".{workspace.name}.", dir=workspace.parent))
    try:
        with tree.opened(partial) as folder:
            for name, source in files.items():
                tree.put(source, folder, PurePosixPath(name))
            tree.write(folder, MARKER, f"{session}\n".encode())
        partial.chmod(0o755)
        partial.rename(workspace)
    except BaseException:
        _remove(partial)
        raise


def _add_missing(files: Mapping[str, Path], workspace: Path, mark: str) -> None:
    missing = {name: source for name, source in files.items() if not os.path.lexists(workspace / name)}
    for name in missing:
        _check_way(workspace, PurePosixPath(name))
    with tree.opened(workspace) as folder:
        for name, source in missing.items():
            tree.put(source, folder, PurePosixPath(name))
        tree.write(folder, MARKER, mark.encode())


def _check_way(workspace: Path, name: PurePosixPath) -> None:
    for parent in name.parents:
        place = workspace / parent
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            raise PreflightError(
                f"{place} is in the way: the starter has a folder there", "move it, or choose another --workspace DIR"
            )


def _marked(workspace: Path) -> tuple[str | None, bool]:
    """The session named by the mark, and whether the folder was there before labctl came."""
    try:
        with tree.opened(workspace) as folder:
            lines = tree.read(folder, MARKER, 200).decode(errors="replace").splitlines()
    except OSError:
        return None, False
    return (lines[0].strip() if lines else ""), _ADOPTED in lines[1:]


def _starter_file(known: Mapping[str, Path], name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise UsageError(f"{name!r} leads out of the workspace", "give a path relative to the workspace")
    if str(path) not in known:
        raise NotFoundError(f"the starter has no file {name!r}", f"it has: {', '.join(sorted(known)[:12])}")
    return str(path)


def _remove(place: Path) -> None:
    with tree.opened(place.parent) as folder:
        tree.remove(folder, place.name)


def _relative_files(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return [path.relative_to(folder).as_posix() for path in found]


def _free(path: Path) -> Path:
    """`path`, or with a number behind it when it is taken."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free
