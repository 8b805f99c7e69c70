"""Who is at work in a session: a file for each command of the learner, locked for as long as the command runs.

The kernel lets go of the lock when its holder dies, however it dies; a file that nobody locks stands for nobody. `exec`
waits for this, so it loads nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

Kind = Literal["exec", "run", "shell"]
_LAST = "last"
_MAX_BYTES = 4096


@contextmanager
def present(home: Path, session: str, kind: Kind) -> Iterator[None]:
    """Be seen at work in the session, as long as this lasts. Where it cannot be written, one is not seen, and works."""
    descriptor = _arrive(_folder(home, session), kind)
    try:
        yield
    finally:
        touch(home, session)
        if descriptor is not None:
            with suppress(OSError):
                _file(_folder(home, session)).unlink()
            os.close(descriptor)


def touch(home: Path, session: str, now: datetime | None = None) -> None:
    """The learner did something `now`, or just now."""
    with suppress(OSError):
        folder = _folder(home, session)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / _LAST).touch(mode=0o600)
        if now is not None:
            os.utime(folder / _LAST, (now.timestamp(), now.timestamp()))


def last_active(home: Path, session: str, now: datetime) -> datetime | None:
    """When the learner did something last, `now` at the latest; None when nothing is known of it.

    A command that runs is something done now. A shell may stand open for days: it counts by what is typed in it, and so
    does an `exec` that has a terminal, for it may be a shell.
    """
    folder = _folder(home, session)
    found = [_time_of(file, now) for file in folder.glob("*.json")]
    with suppress(OSError):
        found.append(_moment((folder / _LAST).stat().st_mtime))
    times = [min(time, now) for time in found if time is not None]
    return max(times, default=None)


def _folder(home: Path, session: str) -> Path:
    return home / "sessions" / session / "present"


def _file(folder: Path) -> Path:
    return folder / f"{os.getpid()}.json"


def _arrive(folder: Path, kind: Kind) -> int | None:
    """The locked descriptor; None where nothing can be written. The file is locked before it bears its name."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = folder / f".{os.getpid()}"
        descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(descriptor, json.dumps({"kind": kind, "tty": _tty()}).encode())
        beside.replace(_file(folder))
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _tty() -> str | None:
    try:
        return os.ttyname(0)
    except OSError:
        return None


def _time_of(file: Path, now: datetime) -> datetime | None:
    """When whom the file stands for was active; None when it stands for nobody, and then it is removed."""
    try:
        with closing(_Opened(file)) as opened:
            if not opened.is_held():
                opened.remove()
                return None
            kind, tty = opened.read()
            if kind == "run" or (kind == "exec" and not tty):
                return now
            if kind not in ("exec", "shell"):
                return None
            return _moment(max(_typed_at(tty), os.fstat(opened.descriptor).st_mtime))
    except OSError:  # it ended while we looked, or is no file of ours
        return None


def _typed_at(tty: str) -> float:
    try:
        return Path(tty).stat().st_atime if tty else 0.0
    except (OSError, ValueError):  # closed since, or no path at all
        return 0.0


class _Opened:
    """A file of somebody's presence, looked at."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)

    def is_held(self) -> bool:
        """A shared lock is enough to see it: two who look do not take each other for the learner."""
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False

    def read(self) -> tuple[str, str]:
        """Kind and terminal, empty where there is none: whatever else a learner has written there says nothing."""
        try:
            values = json.loads(os.read(self.descriptor, _MAX_BYTES))
        except (ValueError, RecursionError):
            return "", ""
        found = [values.get(name) if isinstance(values, dict) else None for name in ("kind", "tty")]
        kind, tty = (value if isinstance(value, str) else "" for value in found)
        return kind, tty

    def remove(self) -> None:
        """Unless somebody with the same process id has arrived meanwhile."""
        if self._file.stat().st_ino == os.fstat(self.descriptor).st_ino:
            self._file.unlink()

    def close(self) -> None:
        os.close(self.descriptor)


def _moment(seconds: float) -> datetime | None:
    """None for what is no time of this calendar: anybody can set a file's."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError):
        return None
