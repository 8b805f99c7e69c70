"""Runs a command of which nothing may be left: `python guard.py PARENT CLEANUP COMMAND…`. Standard library only.

It stands between labctl, whose process id is PARENT, and COMMAND. When COMMAND has ended, or labctl has, however that
happened, everything that COMMAND started ends too, also what left its process group or became a daemon; then CLEANUP
runs, a JSON list of words, empty for none. Its exit code is the command's, 128 + N when signal N ended it.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # <linux/prctl.h>
_GRACE_S, _LONGEST_S = 3.0, 15.0
_CLEANUP_S = 60.0


class _Told(Exception):
    """A signal said that it is over: from somebody, or from the kernel when labctl died."""


def main(parent: int, cleanup: list[str], command: list[str]) -> int:
    """The exit code."""
    for number in (signal.SIGINT, signal.SIGQUIT):  # the terminal sends them to the command as well
        signal.signal(number, _leave_it)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _tell)
    try:
        return _run(parent, command)
    except _Told:
        return 128 + signal.SIGTERM
    finally:
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _leave_it)
        _end_children()
        if cleanup:
            subprocess.run(
                cleanup,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_CLEANUP_S,
                check=False,
            )


def _run(parent: int, command: list[str]) -> int:
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # whoever is orphaned below becomes our child, and is found
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it died before that
        raise _Told
    try:
        child = subprocess.Popen(command)
    except OSError as error:
        sys.stderr.write(f"labctl: {command[0]!r} cannot be run: {error.strerror}\n")
        return 127 if isinstance(error, FileNotFoundError | NotADirectoryError) else 126
    code = child.wait()
    return code if code >= 0 else 128 - code


def _end_children() -> None:
    """Ask each to end, then kill it; whoever loses its parent meanwhile is the next. One that a driver holds is left to it."""
    begun = time.monotonic()
    asked = set[int]()
    while (children := list(_children())) and time.monotonic() - begun < _LONGEST_S:
        for pid in children:
            late = time.monotonic() - begun > _GRACE_S
            if late or pid not in asked:
                _signal(pid, signal.SIGKILL if late else signal.SIGTERM)
                asked.add(pid)
        _reap()
        time.sleep(0.01)


def _children() -> Iterator[int]:
    """Who is alive, or waits to be counted, and has us as its parent."""
    own = str(os.getpid())
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[1] == own and fields[0] != "Z":
                yield int(folder.name)


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def _leave_it(_number: int, _frame: object) -> None:
    """A handler that does nothing; unlike SIG_IGN no child inherits it."""


def _tell(_number: int, _frame: object) -> None:
    raise _Told


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3:]))
