"""Reading a learner's files without being led astray: no way out of the folder, no FIFO that never ends, no endless search."""

from __future__ import annotations

import errno
import fnmatch
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from labctl.target import CannotLook, FileInfo, RefusedPath

MAX_FOUND = 10_000
_MAX_VISITED = 200_000
_MAX_DEPTH = 100


def read(path: str, workspace: Path, trusted: Sequence[Path], max_bytes: int) -> bytes:
    """At most `max_bytes` of a file of the workspace, or of an absolute path below one of `trusted`.

    Raises RefusedPath, FileNotFoundError, IsADirectoryError, CannotLook.
    """
    root, relative = _place(path, workspace, trusted)
    try:
        descriptor = _open(root, relative)
    except OSError as error:
        raise _meaning(path, error) from error
    with os.fdopen(descriptor, "rb") as stream:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, "is a folder", path)
        if not stat.S_ISREG(mode):
            raise RefusedPath(f"{path} is no regular file")
        return stream.read(max_bytes)


def find(pattern: str, workspace: Path) -> list[FileInfo]:
    """What the glob matches in the workspace, sorted; `**` stands for any folders, and follows no symbolic links.

    Raises RefusedPath for a pattern that leads out, Unmet when the learner's workspace has too much to search.
    """
    parts = _relative_parts(pattern)
    root = Path(os.path.realpath(workspace))
    seen: dict[str, FileInfo] = {}
    for found in _matches(root, "", parts, [_MAX_VISITED]):
        info = _info(root, found)
        if info:
            seen[found] = info
        if len(seen) >= MAX_FOUND:
            break
    return [seen[path] for path in sorted(seen)]


def _place(path: str, workspace: Path, trusted: Sequence[Path]) -> tuple[Path, str]:
    """The folder that `path` must stay in, and its resolved place below it."""
    if "\0" in path or ".." in PurePosixPath(path).parts:
        raise RefusedPath(f"{path!r} leads out of the workspace")
    roots = [workspace, *trusted] if PurePosixPath(path).is_absolute() else [workspace]
    for root in roots:
        base = os.path.realpath(root)
        named = PurePosixPath(root, path)
        if not named.is_relative_to(root) and not named.is_relative_to(base):
            continue
        real = os.path.realpath(named)
        if real == base or real.startswith(base + os.sep):
            return Path(base), os.path.relpath(real, base)
        raise RefusedPath(f"{path!r} leads out of the workspace through a symbolic link")
    raise RefusedPath(f"{path!r} is outside the workspace")


def _open(root: Path, relative: str) -> int:
    """Open `relative` below `root`, component by component: none may have become a symbolic link since it was resolved."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    *parents, name = PurePosixPath(relative).parts or (".",)
    try:
        for parent in parents:
            inner = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY, dir_fd=folder)
    finally:
        os.close(folder)


def _meaning(path: str, error: OSError) -> Exception:
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
        return FileNotFoundError(errno.ENOENT, "does not exist", path)
    if error.errno == errno.ELOOP:
        return RefusedPath(f"{path!r} leads through a symbolic link")
    if error.errno in (errno.ENXIO, errno.ENODEV):
        return RefusedPath(f"{path} is no regular file")
    return CannotLook(f"{path} cannot be read: {error.strerror}")


def _relative_parts(pattern: str) -> list[str]:
    path = PurePosixPath(pattern)
    if path.is_absolute() or ".." in path.parts or "\0" in pattern or not path.parts:
        raise RefusedPath(f"{pattern!r} leads out of the workspace")
    return list(path.parts)


def _matches(root: Path, folder: str, parts: Sequence[str], budget: list[int]) -> Iterator[str]:
    """Paths below `root` that `parts` match; `budget` counts what may still be looked at."""
    if parts[0] == "**":
        _refuse_depth(folder)
        rest = parts[1:] or ["*"]
        yield from _matches(root, folder, rest, budget)
        for entry in _entries(root, folder, budget):
            if entry.is_dir(follow_symlinks=False):
                yield from _matches(root, _join(folder, entry.name), parts, budget)
        return
    for entry in _entries(root, folder, budget):
        if fnmatch.fnmatchcase(entry.name, parts[0]):
            found = _join(folder, entry.name)
            if len(parts) == 1:
                yield found
            elif _inside(root, found) and (root / found).is_dir():
                yield from _matches(root, found, parts[1:], budget)


def _refuse_depth(folder: str) -> None:
    if folder.count("/") > _MAX_DEPTH:
        from labctl.checks.base import Unmet

        raise Unmet(f"more than {_MAX_DEPTH} folders in each other in the workspace; tidy it up")


def _entries(root: Path, folder: str, budget: list[int]) -> Iterator[os.DirEntry[str]]:
    try:
        entries = os.scandir(root / folder)
    except OSError:  # gone meanwhile, or not readable: then nothing is found in it
        return
    with entries:
        for entry in entries:
            budget[0] -= 1
            if budget[0] < 0:
                from labctl.checks.base import Unmet  # pydantic, which nothing else here needs

                raise Unmet(f"more than {_MAX_VISITED} files to search in the workspace; tidy it up")
            yield entry


def _info(root: Path, found: str) -> FileInfo | None:
    """What stands at `found`; None for what is gone. Of what a link leads out to, nothing is told, not even its size."""
    if not os.path.lexists(root / found):
        return None
    try:
        status = (root / found).stat() if _inside(root, found) else None
    except OSError:
        status = None
    if status is None or not (stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode)):
        return FileInfo(path=found, is_dir=False, size_bytes=0, readable=False)
    return FileInfo(path=found, is_dir=stat.S_ISDIR(status.st_mode), size_bytes=status.st_size)


def _inside(root: Path, found: str) -> bool:
    real = os.path.realpath(root / found)
    return real == str(root) or real.startswith(f"{root}{os.sep}")


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
