"""Reading the log files that supervisord writes and rotates: NAME.log is the newest, then NAME.log.1, NAME.log.2."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

_BACKUPS = (2, 1)
_POLL_S = 0.1
_STAMP = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d")


def tail(log: Path, max_bytes: int) -> str:
    """The last `max_bytes` of a log; empty when there is none."""
    try:
        with log.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - max_bytes))
            return stream.read(max_bytes).decode(errors="replace")
    except FileNotFoundError:
        return ""


def last_lines(log: Path, count: int) -> list[str]:
    """The last lines that are not blank, each cut to 300 characters."""
    lines = [line.rstrip() for line in tail(log, 16384).splitlines() if line.strip()]
    return [line[:300] for line in lines[-count:]]


def lines(log: Path, *, follow: bool, since_s: float | None, is_over: Callable[[], bool]) -> Iterator[str]:
    """Lines, oldest first; with `follow`, until `is_over` says that no more will come.

    Services need not write times. `since_s` leaves out files that were last written before, and lines that begin with an
    older ISO time; a line without one goes with the line before it.
    """
    since = time.time() - since_s if since_s is not None else 0.0
    shown = True
    for line in _all(log, follow, since, is_over):
        stamp = _time_of(line)
        if since and stamp is not None:
            shown = stamp >= since
        if shown:
            yield line


def forget(log: Path) -> None:
    """Remove a log with its older parts. Its service has ended: supervisord opens a new one when it starts it again."""
    for name in (log, *(log.with_name(f"{log.name}.{number}") for number in _BACKUPS)):
        name.unlink(missing_ok=True)


def _all(log: Path, follow: bool, since: float, is_over: Callable[[], bool]) -> Iterator[str]:
    rest = b""
    with closing(_Reading(log, since)) as reading:
        while True:
            over = not follow or is_over()  # asked before reading: what was written until then is still shown
            data = reading.more()
            *whole, rest = (rest + data).split(b"\n")
            yield from (line.decode(errors="replace") for line in whole)
            if not data and over:
                break
            if not data:
                time.sleep(_POLL_S)
    if rest:
        yield rest.decode(errors="replace")


class _Reading:
    """A position in a log that is being written and, now and then, renamed to NAME.1 and begun again.

    The file in hand stays open, so no rename loses anything of it; what comes after it is found by inode.
    """

    def __init__(self, log: Path, since: float) -> None:
        self._names = [*(log.with_name(f"{log.name}.{number}") for number in _BACKUPS), log]
        self._stream: BinaryIO | None = None
        if 0 < _modified(log) < since:
            self._stream = log.open("rb")
            self._stream.seek(0, os.SEEK_END)
        self._since = since

    def close(self) -> None:
        if self._stream:
            self._stream.close()

    def more(self) -> bytes:
        """What has come since, at most 64 KiB; empty when there is nothing new."""
        while True:
            following = (
                self._following()
            )  # looked up before reading: then nothing can be added to the file after we read
            data = self._stream.read(65536) if self._stream else b""
            if data or not following:
                return data
            self._turn_to(following)

    def _following(self) -> list[tuple[Path, int]]:
        """Files newer than the one in hand, oldest first, with their inodes; all there are when ours was rotated away."""
        inodes = [_inode(name) for name in self._names]
        current = os.fstat(self._stream.fileno()).st_ino if self._stream else -1
        begin = inodes.index(current) + 1 if current in inodes else 0
        there = zip(self._names[begin:], inodes[begin:], strict=True)
        return [(name, inode) for name, inode in there if inode and _modified(name) >= self._since]

    def _turn_to(self, following: list[tuple[Path, int]]) -> None:
        name, inode = following[0]
        try:
            stream = name.open("rb")
        except FileNotFoundError:
            return
        if os.fstat(stream.fileno()).st_ino != inode:  # renamed between the look and the opening: look again
            stream.close()
            return
        self.close()
        self._stream = stream


def _inode(file: Path) -> int:
    try:
        return file.stat().st_ino
    except FileNotFoundError:
        return 0


def _modified(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return -1.0


def _time_of(line: str) -> float | None:
    found = _STAMP.match(line)
    try:
        return datetime.fromisoformat(found[0]).timestamp() if found else None
    except ValueError:
        return None
