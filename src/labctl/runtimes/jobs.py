"""Which of a session's `run`s still have a labctl: a lock a job, `jobs/<name>.lock` in the session's folder.

Its labctl and the process that guards it hold the lock. The kernel frees it when both have died, however they died; a job
whose lock is free, or gone, has been left behind.
"""

from __future__ import annotations

import fcntl
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from labctl.runtimes.folder import SessionFolder

_NAME = re.compile(r"job-[0-9a-f]{12}")


@contextmanager
def begin(folder: SessionFolder) -> Iterator[tuple[str, int]]:
    """A name that no other job has, and the lock's descriptor, for the guard to inherit."""
    name = f"job-{uuid.uuid4().hex[:12]}"
    file = _lock(folder, name)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = file.with_name(f".{name}")
    descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        beside.replace(file)  # it bears its name only when it is locked: nobody finds a free one and takes it away
        yield name, descriptor
    finally:
        file.unlink(missing_ok=True)
        os.close(descriptor)


def is_over(folder: SessionFolder, name: str) -> bool:
    """Whether nobody waits for the job any more. A name that `begin` would not give is nobody's."""
    if not _NAME.fullmatch(name):
        return True
    try:
        descriptor = os.open(_lock(folder, name), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def forget(folder: SessionFolder) -> bool:
    """Remove the locks of jobs that are over, once nothing of them is left; whether that were all."""
    held = False
    for file in (folder.root / "jobs").glob("job-*.lock"):
        if is_over(folder, file.stem):
            with suppress(OSError):
                file.unlink()
        else:
            held = True
    return not held


def _lock(folder: SessionFolder, name: str) -> Path:
    return folder.root / "jobs" / f"{name}.lock"
