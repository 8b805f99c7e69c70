"""Files that survive a kill at any moment and the company of other processes."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def locked(file: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[int]:
    """Hold an exclusive lock on `file`; yields its descriptor. The kernel frees it when the holders die, however they die."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def nearest(folder: Path) -> Path:
    """`folder`, or the nearest of its parents that exists."""
    return next(place for place in (folder, *folder.parents) if place.exists())


def write_atomically(file: Path, text: str) -> None:
    """Write `text` to `file` so that a reader, or a kill, sees the old content or the new one; owner only."""
    beside = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            stream.write(text)
        beside.replace(file)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def read_json(file: Path) -> dict[str, Any]:
    """The JSON object in `file`; empty when there is none, or when it is damaged: all such files can be made again."""
    try:
        values = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
