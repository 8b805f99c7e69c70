"""Nothing is left behind by a Hub that was killed: what it starts ends with it.

`python -m labctl.hub.orphans COMMAND…` becomes COMMAND, and is ended by the kernel when whoever started it dies.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Have the kernel end this process, with SIGTERM, as soon as its parent has died; it may have died already.

    It stays in force across `exec`. Linux: prctl(2), PR_SET_PDEATHSIG.
    """
    parent = os.getppid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit(1)


def main(command: list[str]) -> None:
    """Never returns."""
    end_with_parent()
    os.execvp(command[0], command)  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    main(sys.argv[1:])
