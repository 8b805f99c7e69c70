"""Files of a folder that somebody else may be changing at this moment: made, copied, measured and deleted by descriptors.

A learner's processes can put a link in the place of a folder between any two steps of ours, and ours may be root's. So every
folder is opened below the one before it, never through a link, and what was opened is what is worked on.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

MAX_DEPTH = 100
"""Folders in folders. Each takes a descriptor or two while it is open, and a process has about a thousand."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MOVED = (
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ELOOP,
    errno.EINVAL,
    errno.EISDIR,
    errno.ENOTEMPTY,
    errno.EEXIST,
    errno.ENXIO,
)
"""What a step says when somebody put another thing in the place of the one that was looked at."""
_TRIES = 50
_CHUNK = 1024 * 1024
_BITS = 0o777  # no copy is setuid, whoever owns it


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Bytes on the disk; `whole` False when there was not the time to look at everything, so that it is at least as much."""

    bytes: int
    whole: bool


@contextmanager
def opened(folder: Path) -> Iterator[int]:
    """A descriptor of `folder`, whose own path is ours and may lead through links. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read(folder: int, name: str, max_bytes: int) -> bytes:
    """The beginning of a regular file in `folder`. Raises OSError for anything else, a link or a pipe included."""
    with _below(folder, name, _FILE) as descriptor:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "is no regular file", name)
        return os.read(descriptor, max_bytes)


def write(root: int, name: str, content: bytes) -> None:
    """Make or replace a file in `root`, in one step; it belongs to the owner of `root`."""
    partial = _partial()
    with _below(root, partial, _NEW, 0o644) as descriptor:
        os.write(descriptor, content)
        _own(descriptor, os.fstat(root))
    _take_place(root, partial, name)


def put(source: Path, root: int, name: PurePosixPath) -> None:
    """Copy `source` to `name` below `root`, in one step, in the place of what stands there; links are replaced, not followed.

    What is made belongs to the owner of `root` when this process is root. Raises OSError.
    """
    with _made(root, name.parent.parts, os.fstat(root)) as folder:
        partial = _partial()
        with source.open("rb") as stream, _below(folder, partial, _NEW, 0o600) as descriptor:
            _copy_content(stream.fileno(), descriptor)
            _own(descriptor, os.fstat(root))
            os.fchmod(descriptor, os.fstat(stream.fileno()).st_mode & _BITS)
        _take_place(folder, partial, name.name)


def copy(source: int, target: int) -> None:
    """Copy everything in one folder to another, an empty one: files, links as links, folders; times and modes too.

    Pipes, sockets and devices have no content to keep; what vanishes meanwhile is left out. All of it belongs to the owner of
    `source` when this process is root. Raises OSError.
    """
    _copy_folder(source, target, os.fstat(source), 0)


def empty(folder: int, keep: Sequence[str] = ()) -> None:
    """Delete everything in `folder` but what is named in `keep`. Raises OSError."""
    for name in _names(folder):
        if name not in keep:
            remove(folder, name)


def remove(folder: int, name: str) -> None:
    """Delete what stands at `name` in `folder` and all below it, also what its owner made read-only. Nothing there is fine."""
    for attempt in range(_TRIES):
        try:
            _remove(folder, name)
            return
        except FileNotFoundError:
            return
        except OSError as error:  # somebody is filling or swapping it at this moment
            if error.errno not in _MOVED or attempt == _TRIES - 1:
                raise


def size(folder: Path, budget_s: float) -> Size:
    """What the files below `folder` take on the disk, looked at for no longer than `budget_s`; 0 for a folder that is gone."""
    tally = _Tally(until=time.monotonic() + budget_s)
    try:
        with opened(folder) as descriptor:
            tally.add(descriptor, 0)
    except FileNotFoundError:
        return Size(bytes=0, whole=True)
    except OSError:
        tally.whole = False
    return Size(bytes=tally.bytes, whole=tally.whole)


def state(folder: int) -> str:
    """Another text whenever a file below `folder` was made, changed or deleted: of names, sizes and times of change, which
    are the one time of a file that its owner cannot set."""
    found = hashlib.sha256()
    for name, status in _walk(folder, "", 0):
        found.update(
            f"{name}\0{status.st_mode}\0{status.st_size}\0{status.st_ctime_ns}\0".encode(errors="surrogateescape")
        )
    return found.hexdigest()


def _walk(folder: int, prefix: str, depth: int) -> Iterator[tuple[str, os.stat_result]]:
    for name in sorted(_names(folder)):
        with contextlib.suppress(OSError):  # gone meanwhile, or not ours to see
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            yield f"{prefix}{name}", status
            if stat.S_ISDIR(status.st_mode) and depth < MAX_DEPTH:
                with _below(folder, name, _FOLDER) as inner:
                    yield from _walk(inner, f"{prefix}{name}/", depth + 1)


@contextmanager
def _below(folder: int, name: str, flags: int, mode: int = 0o600) -> Iterator[int]:
    descriptor = os.open(name, flags, mode, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_folder(folder: int, name: str) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)


def _names(folder: int) -> list[str]:
    return os.listdir(folder)


def _partial() -> str:
    return f".labctl-{secrets.token_hex(8)}"


def _own(descriptor: int, like: os.stat_result) -> None:
    if os.geteuid() == 0:
        os.fchown(descriptor, like.st_uid, like.st_gid)


def _take_place(folder: int, partial: str, name: str) -> None:
    """Move `partial` to `name`, whatever stands there."""
    try:
        for attempt in range(_TRIES):
            try:
                os.replace(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
                return
            except IsADirectoryError:
                if attempt == _TRIES - 1:
                    raise
                remove(folder, name)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(partial, dir_fd=folder)


@contextmanager
def _made(root: int, parts: Sequence[str], like: os.stat_result) -> Iterator[int]:
    """A descriptor of the folder `parts` below `root`; made where it is missing, in the place of what is no folder."""
    folder = os.dup(root)
    try:
        for part in parts:
            inner = _folder(folder, part, like)
            os.close(folder)
            folder = inner
        yield folder
    finally:
        os.close(folder)


def _folder(folder: int, name: str, like: os.stat_result) -> int:
    for attempt in range(_TRIES):
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o755, dir_fd=folder)
                _own_new(folder, name, like)
            return os.open(name, _FOLDER, dir_fd=folder)
        except OSError as error:
            if error.errno not in _MOVED or attempt == _TRIES - 1:
                raise
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=folder)
    raise AssertionError("the last try returns or raises")


def _own_new(folder: int, name: str, like: os.stat_result) -> None:
    with _below(folder, name, _FOLDER) as descriptor:
        _own(descriptor, like)


def _copy_folder(source: int, target: int, like: os.stat_result, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise OSError(errno.ENAMETOOLONG, f"more than {MAX_DEPTH} folders in each other")
    for name in _names(source):
        found = _look(source, name)
        if isinstance(found, str):
            _copy_link(found, target, name, like)
        elif found is not None:
            try:
                _copy_opened(found, target, name, like, depth)
            finally:
                os.close(found)
    _finish(source, target, like)


def _look(folder: int, name: str) -> str | int | None:
    """Where the link leads that stands there, or a descriptor of the folder or file; None for what has no content."""
    for attempt in range(_TRIES):
        try:
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
            if stat.S_ISLNK(mode):
                return os.readlink(name, dir_fd=folder)
            return os.open(name, _FILE, dir_fd=folder) if stat.S_ISDIR(mode) or stat.S_ISREG(mode) else None
        except FileNotFoundError:
            return None
        except OSError as error:  # it is another thing by now: look again
            if error.errno not in _MOVED or attempt == _TRIES - 1:
                raise
    raise AssertionError("the last try returns or raises")


def _copy_link(leads_to: str, target: int, name: str, like: os.stat_result) -> None:
    os.symlink(leads_to, name, dir_fd=target)
    if os.geteuid() == 0:
        os.chown(name, like.st_uid, like.st_gid, dir_fd=target, follow_symlinks=False)


def _copy_opened(source: int, target: int, name: str, like: os.stat_result, depth: int) -> None:
    mode = os.fstat(source).st_mode
    if stat.S_ISDIR(mode):
        os.mkdir(name, 0o700, dir_fd=target)
        with _below(target, name, _FOLDER) as made:
            _copy_folder(source, made, like, depth + 1)
    elif stat.S_ISREG(mode):
        with _below(target, name, _NEW) as made:
            _copy_content(source, made)
            _finish(source, made, like)


def _finish(source: int, target: int, like: os.stat_result) -> None:
    """Owner, mode and times; last, for a mode may forbid to go on writing."""
    status = os.fstat(source)
    _own(target, like)
    os.fchmod(target, status.st_mode & _BITS)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _copy_content(source: int, target: int) -> None:
    """The bytes, up to the size it has now; holes stay holes, or a file of nothing could fill the disk."""
    end, offset = os.fstat(source).st_size, 0
    while offset < end:
        try:
            offset = os.lseek(source, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:  # nothing but a hole from here on
                raise
            break
        upto = min(end, os.lseek(source, offset, os.SEEK_HOLE))
        while offset < upto:
            chunk = os.pread(source, min(_CHUNK, upto - offset), offset)
            if not chunk:
                return  # it was cut meanwhile
            offset += os.pwrite(target, chunk, offset)
    os.ftruncate(target, end)


def _remove(folder: int, name: str) -> None:
    if not _is_folder(folder, name):
        os.unlink(name, dir_fd=folder)
        return
    with _unlocked(folder, name) as top:
        waiting = _names(top)
        while waiting:
            with contextlib.suppress(FileNotFoundError):
                _remove_below(top, waiting.pop(), top, waiting, 1)
    os.rmdir(name, dir_fd=folder)


def _remove_below(folder: int, name: str, top: int, waiting: list[str], depth: int) -> None:
    """Delete it. What lies too deep to hold all the folders above it open is moved to `top`, and waits there."""
    if not _is_folder(folder, name):
        os.unlink(name, dir_fd=folder)
        return
    with _unlocked(folder, name) as inner:
        if depth > MAX_DEPTH:
            waiting.append(_partial())
            os.rename(name, waiting[-1], src_dir_fd=folder, dst_dir_fd=top)
            return
        for each in _names(inner):
            with contextlib.suppress(FileNotFoundError):
                _remove_below(inner, each, top, waiting, depth + 1)
    os.rmdir(name, dir_fd=folder)


@contextmanager
def _unlocked(folder: int, name: str) -> Iterator[int]:
    """The folder, opened, with everything in it free to be deleted."""
    try:
        descriptor = os.open(name, _FOLDER, dir_fd=folder)
    except PermissionError:
        with _below(folder, name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC) as place:
            Path(f"/proc/self/fd/{place}").chmod(0o700)  # a descriptor of a place cannot be given to fchmod
        descriptor = os.open(name, _FOLDER, dir_fd=folder)
    try:
        if os.fstat(descriptor).st_mode & 0o700 != 0o700:
            os.fchmod(descriptor, 0o700)
        yield descriptor
    finally:
        os.close(descriptor)


@dataclass(slots=True)
class _Tally:
    """Files counted so far; one with several names counts once."""

    until: float
    bytes: int = 0
    whole: bool = True
    seen: set[tuple[int, int]] = field(default_factory=set)

    def add(self, folder: int, depth: int) -> None:
        with os.scandir(folder) as entries:
            for entry in entries:
                if time.monotonic() > self.until:
                    self.whole = False
                    return
                with contextlib.suppress(OSError):  # gone meanwhile, or not ours to see
                    self._count(folder, entry, depth)

    def _count(self, folder: int, entry: os.DirEntry[str], depth: int) -> None:
        status = entry.stat(follow_symlinks=False)
        file = (status.st_dev, status.st_ino)
        if file in self.seen:
            return
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            self.seen.add(file)
        self.bytes += status.st_blocks * 512
        if not stat.S_ISDIR(status.st_mode):
            return
        if depth >= MAX_DEPTH:
            self.whole = False
            return
        with _below(folder, entry.name, _FOLDER) as inner:
            self.add(inner, depth + 1)
