"""A packed file or folder taken out of its stream, below a descriptor: whole or not at all.

The stream may be a learner's, and so may the place: no link is followed, none is made, and no name leads out.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import IO

from labctl import tree
from labctl.packing import CHUNK, END, FOLDER, MARKER, MISSING, NO_FOLDER, TOP, Refused, reached

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def unpack(source: IO[bytes], root: int, into: str, base: str, *, force: bool = False) -> PurePosixPath:
    """Put what `source` holds at `into` below `root`, or at `into`/`base` when that is a folder, as it must be when it ends
    with a slash; where it is now.

    A folder is laid over one that is there. No file is replaced without `force`, and none takes the place of a folder. What
    is made belongs to the owner of the folder it lands in when this process is root. Raises Refused, OSError.
    """
    place = _place(root, into, base)
    if not place.name or place == PurePosixPath(MARKER):
        raise Refused(f"{place} is labctl's own", "give another name")
    with reached(root, place.parent.parts) as folder, _staged(folder) as stage:
        _unpack_all(source, stage, os.fstat(folder))
        for is_real in (False, True):  # all of it may be put there, or none is
            _settle(stage, TOP, folder, place.name, place, force=force, is_real=is_real)
    return place


def _place(root: int, into: str, base: str) -> PurePosixPath:
    path = PurePosixPath(into)
    if _is_folder(root, path):
        return path / base
    if into.endswith("/"):
        raise Refused(f"there is no folder {path}", "make it first", MISSING)
    return path


def _is_folder(root: int, name: PurePosixPath) -> bool:
    try:
        with reached(root, name.parts):
            return True
    except Refused as refused:
        if refused.why in (MISSING, NO_FOLDER):
            return False
        raise


@contextmanager
def _staged(folder: int) -> Iterator[int]:
    """A folder of our own in `folder`, gone afterwards."""
    name = f".labctl-{secrets.token_hex(8)}"
    os.mkdir(name, 0o700, dir_fd=folder)
    try:
        descriptor = os.open(name, FOLDER, dir_fd=folder)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
    finally:
        with contextlib.suppress(OSError):
            tree.remove(folder, name)


def _unpack_all(source: IO[bytes], stage: int, like: os.stat_result) -> None:
    """Everything up to the mark of the end. Raises Refused for a stream that breaks off, or is not one of ours."""
    is_whole = False
    try:
        with tarfile.open(fileobj=source, mode="r|", bufsize=CHUNK) as stream:
            for member in stream:
                is_whole = member.name == END
                if not is_whole:
                    _unpack_one(stream, member, stage, like)
    except tarfile.TarError as error:
        raise Refused("the copy broke off", "do it again") from error
    if not is_whole:
        raise Refused("the copy broke off", "do it again")


def _unpack_one(stream: tarfile.TarFile, member: tarfile.TarInfo, stage: int, like: os.stat_result) -> None:
    parts = PurePosixPath(member.name).parts
    content = stream.extractfile(member) if member.isreg() else None
    if parts[:1] != (TOP,) or ".." in parts or not (content or member.isdir()):
        raise Refused(f"the copy holds {member.name!r}, which is no file or folder of it", "do it again")
    with reached(stage, parts[:-1]) as folder:
        if content is None:
            os.mkdir(parts[-1], 0o700, dir_fd=folder)
            made = os.open(parts[-1], FOLDER, dir_fd=folder)
        else:
            made = os.open(parts[-1], _NEW, 0o600, dir_fd=folder)
        try:
            _fill(made, content, member, like)
        finally:
            os.close(made)


def _fill(made: int, content: IO[bytes] | None, member: tarfile.TarInfo, like: os.stat_result) -> None:
    while content and (piece := content.read(CHUNK)):
        while piece:
            piece = piece[os.write(made, piece) :]
    if os.geteuid() == 0:
        os.fchown(made, like.st_uid, like.st_gid)
    os.fchmod(made, member.mode & 0o777 | (0o600 if content else 0o700))
    if content:
        os.utime(made, (member.mtime, member.mtime))


def _settle(
    stage: int, name: str, folder: int, final: str, shown: PurePosixPath, *, force: bool, is_real: bool
) -> None:
    """Move it to its place; without `is_real` only see whether it may go there. Raises Refused."""
    is_folder = stat.S_ISDIR(os.stat(name, dir_fd=stage, follow_symlinks=False).st_mode)
    there = _mode(folder, final)
    if there is not None and stat.S_ISDIR(there) != is_folder:
        raise Refused(f"{shown} is {'no' if is_folder else 'a'} folder", "give another name, or move it away first")
    if there is not None and is_folder:
        with reached(stage, [name]) as inner, reached(folder, [final]) as target:
            for each in _names(inner):
                _settle(inner, each, target, each, shown / each, force=force, is_real=is_real)
    elif there is not None and not force:
        raise Refused(f"{shown} is there already", "--force replaces it")
    elif is_real:
        os.replace(name, final, src_dir_fd=stage, dst_dir_fd=folder)


def _names(folder: int) -> list[str]:
    return os.listdir(folder)


def _mode(folder: int, name: str) -> int | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return None
