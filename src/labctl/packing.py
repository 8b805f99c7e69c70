"""A file or a folder as a stream, packed below one descriptor; `labctl.unpacking` takes it out below another.

The folder may be a learner's, whose processes change it meanwhile: no link is followed. The standard library and `labctl.tree`
are all that both need, so that they run wherever the files are.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from labctl import tree

MARKER = ".labctl"
"""The file that names a workspace's session: it is not carried to places that are none."""
MAX_BYTES = 8 * 2**30
TOP, END = "it", "end"
MISSING, NO_FOLDER = "missing", "no folder"
_MAX_TOLD = 100
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
CHUNK = 1024 * 1024


class Refused(Exception):
    """What cannot be carried: `what` in one sentence, `hint` what to do, `why` in a word for who handles it."""

    def __init__(self, what: str, hint: str = "", why: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.why = why


def pack(root: int, name: PurePosixPath, sink: IO[bytes]) -> list[str]:
    """Write what stands at `name` below `root` to `sink`; what was left out: links, and what has no content.

    Raises Refused, and OSError for trouble with the disk.
    """
    with tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT, bufsize=CHUNK) as stream:
        packing = _Packing(stream)
        with reached(root, name.parent.parts) as folder:
            packing.top(folder, name)
        stream.addfile(tarfile.TarInfo(END))
    return packing.left_out


def pack_files(files: Mapping[str, Path], sink: IO[bytes]) -> None:
    """Write files of our own, each under its name, as one folder."""
    with tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT, bufsize=CHUNK) as stream:
        folders = {parent for name in files for parent in PurePosixPath(TOP, name).parents if parent.name}
        for folder in sorted({PurePosixPath(TOP), *folders}):
            made = tarfile.TarInfo(str(folder))
            made.type, made.mode = tarfile.DIRTYPE, 0o755
            stream.addfile(made)
        for name, source in sorted(files.items()):
            with source.open("rb") as content:
                info = _info(PurePosixPath(TOP, name), os.fstat(content.fileno()), tarfile.REGTYPE)
                stream.addfile(info, content)
        stream.addfile(tarfile.TarInfo(END))


class _Packing:
    """What has been written so far."""

    def __init__(self, stream: tarfile.TarFile) -> None:
        self._stream = stream
        self._room = MAX_BYTES
        self.left_out: list[str] = []

    def top(self, folder: int, name: PurePosixPath) -> None:
        """What was asked for, which must be a file or a folder."""
        if not name.name:
            self._folder(os.dup(folder), PurePosixPath(TOP), PurePosixPath(), 0)
            return
        found = _open(folder, name.name, name)
        if found is None:
            raise Refused(
                f"{name} is a link or no file at all, so it is not copied", "copy what it leads to, by its name"
            )
        self._add(found, PurePosixPath(TOP), name, 0)

    def _add(self, opened: int, as_name: PurePosixPath, name: PurePosixPath, depth: int) -> None:
        if stat.S_ISDIR(os.fstat(opened).st_mode):
            self._folder(opened, as_name, name, depth)
        else:
            self._file(opened, as_name, name)

    def _folder(self, opened: int, as_name: PurePosixPath, name: PurePosixPath, depth: int) -> None:
        try:
            if depth > tree.MAX_DEPTH:
                raise Refused(f"more than {tree.MAX_DEPTH} folders in each other", "copy them in parts")
            self._stream.addfile(_info(as_name, os.fstat(opened), tarfile.DIRTYPE))
            for each in sorted(os.listdir(opened)):
                if name / each != PurePosixPath(MARKER):
                    self._entry(opened, each, as_name / each, name / each, depth + 1)
        finally:
            os.close(opened)

    def _entry(self, folder: int, each: str, as_name: PurePosixPath, name: PurePosixPath, depth: int) -> None:
        try:
            found = _open(folder, each, name)
        except Refused as refused:
            if refused.why != MISSING:
                raise
            return  # it went away meanwhile
        if found is not None:
            self._add(found, as_name, name, depth)
        elif len(self.left_out) < _MAX_TOLD:
            self.left_out.append(str(name))

    def _file(self, opened: int, as_name: PurePosixPath, name: PurePosixPath) -> None:
        with os.fdopen(opened, "rb") as content:
            info = _info(as_name, os.fstat(opened), tarfile.REGTYPE)
            self._room -= info.size
            if self._room < 0:
                raise Refused(f"it holds more than {MAX_BYTES // 2**30} GiB", "copy it in parts")
            try:
                self._stream.addfile(info, content)
            except OSError as error:
                if error.errno is None:  # tarfile's own: there was less than the size said
                    raise Refused(f"{name} was cut while it was copied", "do it again") from error
                raise


def _info(name: PurePosixPath, status: os.stat_result, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(str(name))
    info.type, info.mode, info.mtime = kind, status.st_mode & 0o777, status.st_mtime
    info.size = status.st_size if kind == tarfile.REGTYPE else 0
    return info


def _open(folder: int, name: str, shown: PurePosixPath) -> int | None:
    """A descriptor of the file or folder; None for a link and for what has no content. Raises Refused."""
    try:
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            return None
        opened = os.open(name, _FILE, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # it is another thing by now
            return None
        raise _refusal(error, shown) from error
    if stat.S_IFMT(os.fstat(opened).st_mode) in (stat.S_IFREG, stat.S_IFDIR):
        return opened
    os.close(opened)
    return None


def _refusal(error: OSError, name: PurePosixPath) -> Refused:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return Refused(f"there is no {name}", why=MISSING)
    if error.errno == errno.ELOOP:
        return Refused(f"{name} is a link, which is not followed", "name what it leads to")
    return Refused(f"{name}: {os.strerror(error.errno or 0)}", "mend its permissions first")


@contextmanager
def reached(root: int, parts: Sequence[str]) -> Iterator[int]:
    """A descriptor of the folder `parts` below `root`. Raises Refused for a link on the way, and where there is none."""
    folder = os.dup(root)
    try:
        for count, part in enumerate(parts, 1):
            try:
                inner = os.open(part, FOLDER, dir_fd=folder)
            except OSError as error:
                raise _way(folder, part, error, PurePosixPath(*parts[:count])) from error
            os.close(folder)
            folder = inner
        yield folder
    finally:
        os.close(folder)


def _way(folder: int, part: str, error: OSError, name: PurePosixPath) -> Refused:
    """A link answers as what is no folder does."""
    with contextlib.suppress(OSError):
        mode = os.stat(part, dir_fd=folder, follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            return Refused(f"{name} is a link, which is not followed", "name what it leads to")
        if not stat.S_ISDIR(mode):
            return Refused(f"{name} is no folder", "give a path through folders", NO_FOLDER)
    return _refusal(error, name)
