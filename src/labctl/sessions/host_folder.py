"""A workspace that is a folder of this host. Nothing a learner wrote is overwritten or deleted here without a dated copy or a
confirmation.

A session's processes go on changing the files meanwhile, so everything is done below one descriptor of the folder (labctl.tree),
and what is made in it belongs to its owner.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO

from labctl import packing, tree, unpacking
from labctl.errors import NotFoundError, PreflightError, UsageError
from labctl.packing import MARKER

_ADOPTED = "adopted"


@dataclass(frozen=True, slots=True)
class HostFolder:
    """Implements `labctl.runtimes.workspace.Workspace` for the folder `path` of the session `session`."""

    path: Path
    session: str

    @property
    def where(self) -> str:
        return str(self.path)

    @property
    def folder(self) -> Path | None:
        return self.path

    def held(self) -> AbstractContextManager[object]:
        return nullcontext()

    def is_there(self) -> bool:
        return self.path.is_dir()

    def owner(self) -> str | None:
        return owner(self.path)

    def make(self, files: Mapping[str, Path]) -> bool:
        """Make the workspace unless it is there; whether it was made.

        A folder that already has files keeps them all: only what is missing is added, once, and the folder is marked as
        adopted, so that `purge` leaves it alone. Raises PreflightError when the place cannot be written, belongs to another
        session, or has something in the way of the starter's folders.
        """
        marked = self.owner()
        if marked == self.session:
            return False
        if marked is not None:
            raise PreflightError(f"{self.path} is the workspace of {marked}", "choose another: --workspace DIR")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not self.path.exists():
                _create_whole(files, self.path, self.session)
            else:
                _add_missing(files, self.path, f"{self.session}\n{_ADOPTED}\n")
        except (PermissionError, NotADirectoryError) as error:
            raise PreflightError(
                f"the workspace {self.path} cannot be written: {error.strerror}", "choose another: --workspace DIR"
            ) from error
        return True

    def put(self, files: Mapping[str, Path], *, alone: bool = False) -> None:
        with tree.opened(self.path) as folder:
            if alone:
                tree.empty(folder, keep=(MARKER,))
            for name, source in files.items():
                tree.put(source, folder, PurePosixPath(name))

    def keep_copy(self, now: datetime) -> str:
        """Beside the workspace. Raises NotFoundError, PreflightError."""
        if not self.path.is_dir():
            raise _gone(self.path)
        copy = _free(self.path.with_name(f"{self.path.name}.{now:%Y-%m-%d-%H%M%S}"))
        try:
            partial = Path(tempfile.mkdtemp(prefix=f".{self.path.name}.", dir=self.path.parent))
            try:
                with tree.opened(self.path) as source, tree.opened(partial) as target:
                    tree.copy(source, target)
                partial.rename(copy)
            except BaseException:
                _remove(partial)
                raise
        except OSError as error:
            hint = "free some space" if error.errno == errno.ENOSPC else "mend its permissions first"
            raise PreflightError(f"{self.path} cannot be copied: {error.strerror}", hint) from error
        return str(copy)

    def state(self) -> str:
        if not self.path.is_dir():
            return ""
        with _standing(self.path) as folder:
            return tree.state(folder)

    def pack(self, name: PurePosixPath, sink: IO[bytes]) -> list[str]:
        with _standing(self.path) as folder:
            return packing.pack(folder, name, sink)

    def unpack(self, source: IO[bytes], into: str, base: str, *, force: bool) -> PurePosixPath:
        with _standing(self.path) as folder:
            return unpacking.unpack(source, folder, into, base, force=force)

    def check_purge(self) -> None:
        marked, adopted = _marked(self.path)
        if self.path.exists() and (marked != self.session or adopted or self.path.is_symlink()):
            raise UsageError(
                f"{self.path} was not made by labctl, so it is not deleted", "delete it yourself if you are sure"
            )

    def purge(self) -> None:
        self.check_purge()
        if self.path.exists():
            _remove(self.path)


def owner(workspace: Path) -> str | None:
    """The session that the folder `workspace` was made for, by the mark that was left in it; None without one."""
    return _marked(workspace)[0]


@contextlib.contextmanager
def _standing(workspace: Path) -> Iterator[int]:
    """A descriptor of the folder. Raises NotFoundError."""
    try:
        with tree.opened(workspace) as folder:
            yield folder
    except FileNotFoundError as error:
        raise _gone(workspace) from error


def _gone(workspace: Path) -> NotFoundError:
    return NotFoundError(f"the workspace {workspace} is gone", "`labctl up LAB` makes it anew")


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


def _remove(place: Path) -> None:
    with tree.opened(place.parent) as folder:
        tree.remove(folder, place.name)


def _free(path: Path) -> Path:
    """`path`, or with a number behind it when it is taken."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free
