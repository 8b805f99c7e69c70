"""The learner's files of one session, wherever they are kept: a folder of this host, or a volume that only the engine sees."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Protocol


class Workspace(Protocol):
    """A learner's processes may change the files meanwhile: no link in it is followed, and what is told as done is complete.

    Methods raise PreflightError, NotFoundError, EngineError; `put` OSError too.
    """

    @property
    def where(self) -> str:
        """For people: a path, or the name of the volume. Asks nobody."""
        ...

    @property
    def folder(self) -> Path | None:
        """The folder on this host; None when this host does not see it."""
        ...

    def held(self) -> AbstractContextManager[object]:
        """For several operations one after the other: what it costs to get there is paid once."""
        ...

    def is_there(self) -> bool:
        """Whether it exists, made by labctl or not."""
        ...

    def owner(self) -> str | None:
        """The session that it was made for; None when there is none, or nobody has marked it."""
        ...

    def make(self, files: Mapping[str, Path]) -> bool:
        """Make it, with these files (name → source), unless it is there; whether it was made here and now."""
        ...

    def put(self, files: Mapping[str, Path], *, alone: bool = False) -> None:
        """Copy each source to its name, in the place of what stands there; with `alone`, nothing else but the mark is left.

        The folder itself stays, because running services stand in it.
        """
        ...

    def keep_copy(self, now: datetime) -> str:
        """A dated copy of everything, complete or not there at all; where it is, for people."""
        ...

    def state(self) -> str:
        """Another text whenever a file was made, changed or deleted since the last time."""
        ...

    def pack(self, name: PurePosixPath, sink: IO[bytes]) -> list[str]:
        """Write the file or folder `name`, as `labctl.packing` does; what was left out. Raises packing.Refused too."""
        ...

    def unpack(self, source: IO[bytes], into: str, base: str, *, force: bool) -> PurePosixPath:
        """Take in what was packed, as `labctl.unpacking` does; where it is now. Raises packing.Refused too."""
        ...

    def check_purge(self) -> None:
        """Raises UsageError unless labctl made it for this session, or it is gone."""
        ...

    def purge(self) -> None:
        """Delete it for good. Raises UsageError as `check_purge` does."""
        ...
