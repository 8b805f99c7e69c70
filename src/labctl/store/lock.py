"""One labctl process at a time works on a session. The kernel lets go of the lock when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def session_lock(home: Path, session: str, *, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the session's lock; `waiting` is called once when somebody else has it and we wait for them."""
    with _opened(home, session) as handle:
        if not _try(handle):
            waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def is_locked(home: Path, session: str) -> bool:
    """Whether another process works on the session right now. Looking makes no file, and two who look do not meet."""
    try:
        handle = os.open(home / "locks" / f"{session}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def held_alone(home: Path, name: str) -> int | None:
    """A descriptor that holds the lock `name` until it is closed; None while another process, or this one, has it."""
    descriptor = _open(home, name)
    if _try(descriptor):
        return descriptor
    os.close(descriptor)
    return None


@contextmanager
def _opened(home: Path, session: str) -> Iterator[int]:
    handle = _open(home, session)
    try:
        yield handle
    finally:
        os.close(handle)


def _open(home: Path, name: str) -> int:
    folder = home / "locks"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _try(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
