"""What labctl says when it cannot go on, and the exit code that goes with it.

One class a remedy. Every error says what failed with the value seen (`what`) and what to do next (`hint`); the one place that
prints them is `labctl.cli.main`.
"""

from __future__ import annotations

EXIT_FAILED_CRITERIA = 1
EXIT_NOT_OBSERVED = 3
EXIT_INTERRUPTED = 130


class LabctlError(Exception):
    """A problem the user can act on. `what` is one sentence, `hint` the next thing to type or to change (may be empty)."""

    exit_code = 70

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


class UsageError(LabctlError):
    """The command line asks for something that makes no sense."""

    exit_code = 2


class PreflightError(LabctlError):
    """This host lacks something the lab needs: GPU, memory, disk, port, tool, permission."""

    exit_code = 4


class NotFoundError(LabctlError):
    """No such lab, session, service or criterion."""

    exit_code = 5


class EngineError(LabctlError):
    """The engine (supervisor, Docker, cluster, database) is unreachable or refused."""

    exit_code = 6


class LabFileError(LabctlError):
    """A lab, roster or course file is wrong."""

    exit_code = 7


class UnhealthyError(LabctlError):
    """A service did not become healthy."""

    exit_code = 8
