"""Folders that are made once and shared by sessions: environments and models. Safe against kills and against company."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from labctl.disk import locked
from labctl.errors import PreflightError
from labctl.progress import Progress, Step

MARKER = ".complete"
_KEPT_LINES = 60


def is_complete(folder: Path) -> bool:
    """Whether `folder` was made to the end."""
    return (folder / MARKER).exists()


def make_once(folder: Path, name: str, progress: Progress, build: Callable[[int], None]) -> bool:
    """Have `build` make `folder` unless it is complete; whether it was made. What is half made is made again.

    `build` gets the descriptor of the lock: a child that inherits it keeps others out even when labctl is killed.
    """
    if is_complete(folder):
        return False
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)

    def waiting() -> None:
        progress(Step(name=name, state="progress", detail="waiting for another labctl that is making it"))

    with locked(folder.with_name(f".{folder.name}.lock"), waiting) as lock:
        if is_complete(folder):
            return False
        shutil.rmtree(folder, ignore_errors=True)
        build(lock)
        (folder / MARKER).touch()
    return True


class Failed(Exception):
    """A command ended with another code than 0; `lines` are the last that it wrote."""

    def __init__(self, command: Sequence[str], exit_code: int, lines: Sequence[str]) -> None:
        super().__init__(f"{Path(command[0]).name} ended with exit code {exit_code}")
        self.lines = list(lines)


class Children:
    """The commands that are running now, so that Ctrl-C ends them all."""

    def __init__(self) -> None:
        self._alive: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._ended = False

    def run(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        lock: int,
        on_line: Callable[[str], None],
    ) -> list[str]:
        """Run `command` to its end, passing on each line it writes; the last lines. Raises Failed, OSError."""
        with self._started(command, env, cwd, lock) as child:
            output = child.stdout
            assert output is not None
            kept: deque[str] = deque(maxlen=_KEPT_LINES)
            for line in iter(lambda: output.readline(4096), ""):
                if line.strip():
                    kept.append(line.rstrip())
                    on_line(line.strip())
            if child.wait() != 0:
                raise Failed(command, child.returncode, list(kept))
        return list(kept)

    def end(self) -> None:
        """Kill all that run, and refuse to start more."""
        with self._lock:
            self._ended = True
            for child in self._alive:
                _kill_group(child)

    @contextmanager
    def _started(
        self, command: Sequence[str], env: Mapping[str, str], cwd: Path, lock: int
    ) -> Iterator[subprocess.Popen[str]]:
        with self._lock:
            if self._ended:
                raise KeyboardInterrupt
            child = subprocess.Popen(
                command,
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                pass_fds=[lock],
                start_new_session=True,
            )
            self._alive.add(child)
        try:
            with child:
                try:
                    yield child
                except BaseException:
                    _kill_group(child)
                    raise
        finally:
            self._alive.discard(child)


def refuse(what: str, lines: Sequence[str], hint: str) -> NoReturn:
    """Raise the PreflightError for a command that wrote `lines` and failed; a full disk has its own sentence."""
    if any("No space left on device" in line or "os error 28" in line for line in lines):
        raise PreflightError(f"{what}: the disk is full", "free some space, or set LABCTL_HOME to a larger disk")
    raise PreflightError("\n    ".join([what, *lines[-8:]]), hint)


@contextmanager
def disk_trouble(home: Path) -> Iterator[None]:
    """Turn a full or read-only disk, and missing permission, into a PreflightError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            where = error.filename or home
            raise PreflightError(
                f"the disk is full ({where})", "free some space, or set LABCTL_HOME to a larger disk"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise PreflightError(
                f"{error.filename or home} cannot be written: {error.strerror}",
                "set LABCTL_HOME to a folder that is yours",
            ) from error
        raise


def _kill_group(child: subprocess.Popen[str]) -> None:
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
