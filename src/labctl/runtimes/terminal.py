"""A command that has this process's terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from labctl.errors import LabctlError, NotFoundError

_GUARD = Path(__file__).with_name("guard.py")


class NotExecutable(LabctlError):
    """The command is there, and the kernel cannot run it; the exit code is the one that shells give."""

    exit_code = 126


def in_terminal(command: Sequence[str], env: Mapping[str, str], cwd: str, *, lock: int | None = None) -> int:
    """Run `command` in the foreground; its exit code, 128 + N when signal N ended it. Raises NotFoundError, NotExecutable.

    `lock` is a descriptor that the command inherits.
    """
    kept = () if lock is None else (lock,)
    try:
        with _interrupts_are_the_childs():
            exit_code = subprocess.run(list(command), env=dict(env), cwd=cwd, check=False, pass_fds=kept).returncode
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        what = f"the workspace {cwd} is gone" if error.filename == cwd else f"{command[0]!r} cannot be run here"
        raise NotFoundError(f"{what}: {error.strerror}", "`labctl exec LAB -- ls` shows what is there") from error
    except OSError as error:  # a script without a first line that names its interpreter, too many arguments
        hint = f"a script begins with a line such as #!/bin/sh; or `labctl exec LAB -- sh {command[0]}`"
        raise NotExecutable(f"{command[0]!r} cannot be run: {error.strerror}", hint) from error
    return exit_code if exit_code >= 0 else 128 - exit_code


def guarded(command: Sequence[str], *, cleanup: Sequence[str] = ()) -> list[str]:
    """The command that runs `command` so that nothing of it outlives it, or this process; then it runs `cleanup`."""
    python = [sys.executable, "-I", "-S", str(_GUARD)]
    return [*python, str(os.getpid()), json.dumps(list(cleanup)), *command]


def without_terminal(command: Sequence[str], env: Mapping[str, str], cwd: str, end: Callable[[], None]) -> int:
    """Run `command`, which stands for something elsewhere that no Ctrl-C of ours reaches: then `end` ends it. Its exit code."""
    with subprocess.Popen(list(command), env=dict(env), cwd=cwd) as process:
        try:
            exit_code = process.wait()
        except BaseException:
            end()
            process.terminate()
            raise
    return exit_code if exit_code >= 0 else 128 - exit_code


def _leave_it(_number: int, _frame: object) -> None:
    """A handler that does nothing; unlike SIG_IGN it is not inherited by the child."""


@contextmanager
def _interrupts_are_the_childs() -> Iterator[None]:
    """Let Ctrl-C, which the terminal sends to both, reach the child alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, _leave_it)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
