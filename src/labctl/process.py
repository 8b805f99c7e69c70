"""A process of its own, bounded in time and output, of which nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from labctl.target import MAX_OUTPUT_BYTES, CommandResult

MARK = "LABCTL_PROCESS_MARK"
_DRAIN_S = 1.0


def run_process(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout_s: float,
    stdin: bytes = b"",
    max_output_bytes: int = MAX_OUTPUT_BYTES,
) -> CommandResult:
    """The finished command; a program that does not exist ends with 127, one that may not be run with 126.

    The first `max_output_bytes` of stdout and of stderr are kept, the rest is read and dropped. After `timeout_s`, and
    also when it ended by itself, every process it started is killed, those that left its process group included.
    """
    # Within a process that bears a mark itself, the new one comes after it: who ends the outer one finds the inner too.
    started, mark = time.monotonic(), f"{os.environ.get(MARK, '')}/{uuid.uuid4().hex}"
    try:
        process = _start(command, cwd, {**env, MARK: mark})
    except (FileNotFoundError, PermissionError) as error:
        code = 127 if isinstance(error, FileNotFoundError) else 126
        return CommandResult(exit_code=code, stdout="", stderr=f"{command[0]}: {error.strerror}", duration_s=0.0)
    out, err = (_Drain(stream, max_output_bytes) for stream in (process.stdout, process.stderr))
    threading.Thread(target=_feed, args=(process.stdin, stdin), daemon=True).start()
    timed_out = not _ends_within(process, timeout_s)
    _kill_marked(mark)
    out.finish()
    err.finish()
    return CommandResult(
        exit_code=process.returncode,
        stdout=out.text,
        stderr=err.text,
        duration_s=time.monotonic() - started,
        timed_out=timed_out,
        truncated=out.truncated or err.truncated,
    )


def _start(command: Sequence[str], cwd: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        list(command),
        cwd=cwd,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


@dataclass
class _Drain:
    """Reads a pipe to its end in a thread, so that the writer never blocks, and keeps the beginning."""

    stream: IO[bytes] | None
    limit: int
    kept: bytearray = field(default_factory=bytearray)
    truncated: bool = False

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def finish(self) -> None:
        """Everything there is has been read; a pipe that a process of another user still holds is not waited for."""
        self.thread.join(_DRAIN_S)

    @property
    def text(self) -> str:
        return bytes(self.kept).decode("utf-8", errors="replace")

    def _read(self) -> None:
        if self.stream is None:
            return
        with self.stream as stream:
            while chunk := os.read(stream.fileno(), 1 << 16):
                room = self.limit - len(self.kept)
                self.kept += chunk[:room]
                self.truncated = self.truncated or len(chunk) > room


def _feed(stream: IO[bytes] | None, data: bytes) -> None:
    with suppress(BrokenPipeError):  # it ended without reading everything
        if stream is not None:
            with stream:
                stream.write(data)


def _ends_within(process: subprocess.Popen[bytes], timeout_s: float) -> bool:
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        _kill_tree(process.pid)
        process.wait()
        return False
    return True


def _kill_tree(pid: int) -> None:
    """Kill a process that is not reaped yet, its group (whose number is therefore still its own) and its descendants."""
    below = []
    with suppress(psutil.Error):
        below = psutil.Process(pid).children(recursive=True)
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    for process in below:
        with suppress(psutil.Error):
            process.kill()


def _kill_marked(mark: str) -> None:
    """Kill whatever still bears the mark in its environment, and see it gone; twice, as a fork may have been under way."""
    for _ in range(2):
        found = [process for process in psutil.process_iter() if _bears(process, mark)]
        for process in found:
            with suppress(psutil.Error):
                process.kill()
        deadline = time.monotonic() + _DRAIN_S
        while any(map(_lives, found)) and time.monotonic() < deadline:
            time.sleep(0.005)


def _lives(process: psutil.Process) -> bool:
    """A zombie does not: it only waits to be counted, which is its parent's business."""
    with suppress(psutil.Error):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def _bears(process: psutil.Process, mark: str) -> bool:
    with suppress(psutil.Error):
        return bool(process.environ().get(MARK, "").startswith(mark))
    return False
