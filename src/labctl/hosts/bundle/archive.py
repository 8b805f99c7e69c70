"""The tar file of a bundle: written so that a kill costs little, read so that nothing in it is believed unchecked."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from labctl.errors import LabFileError, PreflightError
from labctl.hosts.bundle.manifest import MANIFEST, MAX_MANIFEST_BYTES, SUMS, Manifest, Member, read

BLOCK = 512
CHUNK = 4 * 2**20
OnBytes = Callable[[str, int], None]
"""Is told the name of a member and how many bytes of it have gone by."""


def quiet(_name: str, _bytes: int) -> None:
    """An OnBytes that nobody listens to."""


def write(target: Path, manifest: Manifest, sources: Mapping[str, Path], on_bytes: OnBytes = quiet) -> int:
    """Write the bundle to `target`; how many bytes of it were there already, from a run that was killed.

    Layout and headers follow from the manifest alone, so whoever finds `target`.partial beginning with the same manifest goes
    on after its last whole member. Raises LabFileError when a source is no longer what the manifest says; OSError.
    """
    head = _entry(MANIFEST, manifest.text().encode()) + _entry(SUMS, manifest.sums.encode())
    partial = target.with_name(f"{target.name}.partial")
    with os.fdopen(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), "r+b") as out:
        have = _begin(out, head)
        kept = end = len(head)
        for member in manifest.members:
            begin, end = end, end + len(_header(member.name, member.size)) + _padded(member.size)
            if end > have:
                out.seek(begin)
                out.truncate()
                _add(out, member, sources[member.name], on_bytes)
                have = end
            else:
                kept = end
        out.seek(end)
        out.truncate()
        out.write(bytes(2 * BLOCK))
        out.flush()
        os.fsync(out.fileno())
    partial.replace(target)
    return kept if kept > len(head) else 0


@contextmanager
def opened(file: Path) -> Iterator[Bundle]:
    """The bundle in `file`. Raises LabFileError for what is none; OSError."""
    try:
        with tarfile.open(file, "r:") as tar:
            yield Bundle(file, tar)
    except tarfile.TarError as error:
        raise _broken(file, f"it is no whole tar file: {error}") from error


class Bundle:
    """An open bundle: its manifest, and its members by name."""

    def __init__(self, file: Path, tar: tarfile.TarFile) -> None:
        self.file = file
        self._tar = tar
        self.manifest = read(self._first(), str(file))
        self._found: dict[str, tarfile.TarInfo] | None = None

    def check(self, on_bytes: OnBytes = quiet) -> None:
        """Read everything once. Raises LabFileError unless it holds what the manifest says, and nothing else."""
        expected = {member.name for member in self.manifest.members} | {MANIFEST, SUMS}
        surplus = sorted(self._members().keys() - expected)
        if surplus:
            raise _broken(self.file, f"it holds {surplus[0]!r}, of which its manifest knows nothing")
        for member in self.manifest.members:
            for _ in self.pieces(member, on_bytes):
                pass

    def pieces(self, member: Member, on_bytes: OnBytes = quiet) -> Iterator[bytes]:
        """The content of a member. Raises LabFileError at its end when it is not what the manifest says."""
        found = hashlib.sha256()
        with self.stream(member) as content:
            while piece := content.read(CHUNK):
                found.update(piece)
                on_bytes(member.name, len(piece))
                yield piece
        if found.hexdigest() != member.sha256:
            raise _broken(
                self.file, f"{member.name} is damaged: its sum is {found.hexdigest()[:12]}…, not {member.sha256[:12]}…"
            )

    @contextmanager
    def stream(self, member: Member) -> Iterator[IO[bytes]]:
        """A member to read, of the size that the manifest says."""
        info = self._members().get(member.name)
        content = self._tar.extractfile(info) if info is not None and info.isreg() else None
        if info is None or content is None or info.size != member.size:
            raise _broken(self.file, f"{member.name} is missing, or cut")
        with content:
            yield content

    def _first(self) -> bytes:
        info = self._tar.next()
        content = self._tar.extractfile(info) if info and info.name == MANIFEST and info.isreg() else None
        if info is None or content is None or info.size > MAX_MANIFEST_BYTES:
            raise LabFileError(
                f"{self.file} is no bundle: it does not begin with {MANIFEST}", "`labctl bundle` makes one"
            )
        return content.read()

    def _members(self) -> dict[str, tarfile.TarInfo]:
        if self._found is None:
            self._found = {info.name: info for info in self._tar.getmembers()}
        return self._found


def member(name: str, file: Path, on_bytes: OnBytes = quiet) -> Member:
    """What the manifest will say of `file`, which is read once."""
    found, size = hashlib.sha256(), 0
    with file.open("rb") as content:
        while piece := content.read(CHUNK):
            found.update(piece)
            size += len(piece)
            on_bytes(name, len(piece))
    return Member(name=name, size=size, sha256=found.hexdigest())


def room(folder: Path, needed: int) -> None:
    """Raises PreflightError when the disk of `folder` has no `needed` bytes left."""
    status = os.statvfs(folder)
    free = status.f_bavail * status.f_frsize
    if free < needed:
        raise PreflightError(
            f"{folder} has {free // 2**20} MiB free, and {-(-needed // 2**20)} MiB are needed",
            "free some space, or write to a larger disk",
        )


def _begin(out: IO[bytes], head: bytes) -> int:
    """How many bytes of `out` can be kept: all of it when it begins with `head`, which it does afterwards."""
    size = os.fstat(out.fileno()).st_size
    if size >= len(head) and out.read(len(head)) == head:
        return size
    out.seek(0)
    out.truncate()
    out.write(head)
    return len(head)


def _add(out: IO[bytes], expected: Member, source: Path, on_bytes: OnBytes) -> None:
    out.write(_header(expected.name, expected.size))
    found, size = hashlib.sha256(), 0
    with source.open("rb") as content:
        while piece := content.read(CHUNK):
            found.update(piece)
            size += len(piece)
            out.write(piece)
            on_bytes(expected.name, len(piece))
    if (found.hexdigest(), size) != (expected.sha256, expected.size):
        raise LabFileError(f"{source} was changed while it was bundled", "the same command again takes it as it is now")
    out.write(bytes(_padded(size) - size))
    out.flush()


def _entry(name: str, content: bytes) -> bytes:
    return _header(name, len(content)) + content + bytes(_padded(len(content)) - len(content))


def _header(name: str, size: int) -> bytes:
    """Without owner and time, which say nothing and would differ."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info.tobuf(tarfile.PAX_FORMAT)


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _broken(file: Path, why: str) -> LabFileError:
    return LabFileError(f"{file}: {why}", "copy it here again; its sum on both machines: `sha256sum`")
