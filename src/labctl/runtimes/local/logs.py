"""Reading the log files that supervisord writes and rotates: NAME.log is the newest, then NAME.log.1, NAME.log.2."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

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


def _all(log: Path, follow: bool, since: float, is_over: Callable[[], bool]) -> Iterator[str]:
    rotated = [log.with_name(f"{log.name}.{number}") for number in _BACKUPS]
    for file in rotated if follow else [*rotated, log]:
        if _modified(file) >= since:
            yield from _text_lines(file)
    if follow:
        yield from _follow(log, since, is_over)


def _text_lines(file: Path) -> Iterator[str]:
    try:
        with file.open(errors="replace") as stream:
            yield from (line.rstrip("\n") for line in stream)
    except FileNotFoundError:
        return


def _follow(log: Path, since: float, is_over: Callable[[], bool]) -> Iterator[str]:
    reading = _Reading(log, since)
    rest = b""
    while True:
        over = is_over()  # asked before reading: what was written until then is still shown
        data = reading.more()
        *whole, rest = (rest + data).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)
        if not data and over:
            if rest:
                yield rest.decode(errors="replace")
            return
        if not data:
            time.sleep(_POLL_S)


class _Reading:
    """A position in a log that is being written and, now and then, renamed to NAME.1 and begun again."""

    def __init__(self, log: Path, since: float) -> None:
        self._log = log
        self._inode = 0
        self._position = 0
        if 0 < _modified(log) < since:
            status = log.stat()
            self._inode, self._position = status.st_ino, status.st_size

    def more(self) -> bytes:
        """What has come since, at most 64 KiB; empty when there is nothing new."""
        before = self._log.with_name(f"{self._log.name}.1")
        if self._inode and _inode(self._log) != self._inode == _inode(before):
            data = self._read(before)
            if data:
                return data
        if _inode(self._log) != self._inode:
            self._inode, self._position = _inode(self._log), 0
        return self._read(self._log)

    def _read(self, file: Path) -> bytes:
        try:
            with file.open("rb") as stream:
                stream.seek(self._position)
                data = stream.read(65536)
        except FileNotFoundError:
            return b""
        self._position += len(data)
        return data


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
