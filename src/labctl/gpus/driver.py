"""The process in which the NVIDIA driver is asked, from the outside: it may hang or crash, and labctl goes on."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PROGRAM = "import gc; gc.disable(); from labctl.gpus.nvml import main; main()"
"""What -m would run, 7 ms sooner, and 5 ms more: it ends long before there is garbage to speak of."""
_OUR_PACKAGES = str(Path(__file__).parents[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the process printed. `late`: it was still at it when the `deadline_s` seconds were over.

    `returncode` is the process's own; a negative one is the number of the signal that ended it.
    """

    lines: tuple[dict[str, Any], ...] = ()
    deadline_s: float = 0.0
    late: bool = False
    returncode: int = 0

    @property
    def whole(self) -> bool:
        return not self.late and self.returncode == 0


def start(library: str | None, *options: str) -> subprocess.Popen[bytes]:
    """Begins to ask: `python -m labctl.gpus.nvml OPTIONS LIBRARY`. `finish` must follow. Raises OSError."""
    command = [sys.executable, "-S", "-P", "-c", _PROGRAM, *options]
    if library:  # a bare name is looked for where libraries are
        command.append(str(Path(library).absolute()) if os.sep in library else library)
    # -S spares it the .pth files of the environment, so it is told where packages are
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([_OUR_PACKAGES, *filter(None, sys.path)])}
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/", env=environment
    )


def finish(process: subprocess.Popen[bytes], deadline_s: float) -> Answer:
    """The answer, as much of it as comes within `deadline_s`. The process is ended then."""
    late = False
    try:
        printed, _ = process.communicate(timeout=deadline_s)
    except subprocess.TimeoutExpired as expired:
        printed, late = expired.output or b"", True
    finally:
        _end(process)
    returncode = 0 if late else process.returncode
    return Answer(lines=tuple(_lines(printed)), deadline_s=deadline_s, late=late, returncode=returncode)


def _end(process: subprocess.Popen[bytes]) -> None:
    """A process inside a wedged driver ends when the driver lets go of it, so it is not waited for long."""
    process.kill()
    if process.stdout:
        process.stdout.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=1)


def _lines(printed: bytes) -> list[dict[str, Any]]:
    """A driver library may print on its own; the last line may be cut where the process ended."""
    found = []
    for line in printed.splitlines():
        with contextlib.suppress(ValueError):
            value = json.loads(line)
            if isinstance(value, dict):
                found.append(value)
    return found
