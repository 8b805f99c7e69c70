"""stdout and stderr, whatever the caller has connected them to."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TextIO

from labctl.errors import PreflightError


def prepare() -> None:
    """Make both take every character, whatever the locale, and be there even when the caller closed them."""
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def flush_answer() -> None:
    """Send what is left of stdout; at this moment, so that a full disk is an error with an exit code. Raises PreflightError."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise PreflightError(f"the answer cannot be written: {error.strerror}", "send it to another place") from error


def put(stream: TextIO, text: str) -> bool:
    """Whether the text got out; a stream that takes nothing is silenced."""
    try:
        stream.write(text)
        stream.flush()
    except OSError:
        silence(stream)
        return False
    return True


def silence(stream: TextIO) -> None:
    """Let what is left in the stream go nowhere, so that Python does not stumble over it when it ends."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _nowhere() -> TextIO:
    return os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
