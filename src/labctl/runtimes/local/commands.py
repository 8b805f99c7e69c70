"""Running a command of a check: its own process group, a deadline, an output limit, and nothing of it left behind."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

from labctl.runtimes.local import processes
from labctl.target import CannotLook, CommandResult

_MARK = "LABCTL_RUN"
_AFTER_EXIT_S = 0.5
_CHUNK = 65536


def run(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str,
    timeout_s: float,
    stdin: bytes,
    max_output_bytes: int,
) -> CommandResult:
    """The finished command; a program that is not there ends with 127. Raises CannotLook when nothing can be started."""
    run_id = uuid.uuid4().hex
    started = time.monotonic()
    try:
        child = _start(command, {**env, _MARK: run_id}, cwd)
    except FileNotFoundError as error:
        if error.filename == cwd:
            raise CannotLook(f"the workspace {cwd} is gone") from error
        return _not_run(127, f"{command[0]}: no such command")
    except PermissionError:
        return _not_run(126, f"{command[0]}: cannot be executed")
    except (OSError, ValueError) as error:
        raise CannotLook(f"{command[0]} cannot be started: {error}") from error
    with child:
        exchange = _Exchange(child, stdin, max_output_bytes)
        try:
            finished = exchange.until(started + timeout_s)
        finally:
            _end(child, run_id, thorough=not exchange.at_end)
        exchange.drain()
    return CommandResult(
        exit_code=child.returncode,
        stdout=exchange.text("stdout"),
        stderr=exchange.text("stderr"),
        duration_s=time.monotonic() - started,
        timed_out=not finished,
        truncated=exchange.truncated,
    )


def _start(command: Sequence[str], env: Mapping[str, str], cwd: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        list(command),
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        bufsize=0,
    )


def _not_run(exit_code: int, why: str) -> CommandResult:
    return CommandResult(exit_code=exit_code, stdout="", stderr=why, duration_s=0.0)


def _end(child: subprocess.Popen[bytes], run_id: str, *, thorough: bool) -> None:
    """Kill the group, whatever is left of it. `thorough`: also what has left it, which holds the output open."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    if thorough:
        processes.end_all({_MARK: run_id}, grace_s=0)
    child.wait()


@dataclass(slots=True)
class _Kept:
    """The beginning of a stream, up to a limit; the rest is read and forgotten, so that the writer is not blocked."""

    limit: int
    data: bytearray = field(default_factory=bytearray)
    dropped: bool = False

    def add(self, chunk: bytes) -> None:
        room = self.limit - len(self.data)
        self.data += chunk[:room]
        self.dropped = self.dropped or len(chunk) > room


class _Exchange:
    """Feeds stdin and collects stdout and stderr of a child at the same time."""

    def __init__(self, child: subprocess.Popen[bytes], stdin: bytes, limit: int) -> None:
        self._child = child
        self._left = memoryview(stdin)
        self._kept = {"stdout": _Kept(limit), "stderr": _Kept(limit)}
        self._selector = selectors.DefaultSelector()
        for name in self._kept:
            self._watch(getattr(child, name), selectors.EVENT_READ, name)
        self._watch(child.stdin, selectors.EVENT_WRITE, "stdin")

    @property
    def at_end(self) -> bool:
        """Whether both outputs are closed: nobody is left who could write."""
        return not any(key.data != "stdin" for key in self._selector.get_map().values())

    @property
    def truncated(self) -> bool:
        return any(kept.dropped for kept in self._kept.values())

    def until(self, deadline: float) -> bool:
        """Go on until the child has ended and its output is closed, or left open for a moment; False at the deadline."""
        exited_at: float | None = None
        while not self.at_end or self._child.poll() is None:
            now = time.monotonic()
            if self._child.poll() is not None:
                exited_at = exited_at or now
                if now > exited_at + _AFTER_EXIT_S:  # a background child holds the output: it is ended with the group
                    return True
            elif now > deadline:
                return False
            self._step(0.05 if exited_at or self.at_end else min(0.05, max(0.0, deadline - now)))
        return True

    def drain(self) -> None:
        """Take what is still in the pipes, now that all writers are dead."""
        while not self.at_end and self._step(0.0):
            pass
        self._selector.close()

    def text(self, name: str) -> str:
        return self._kept[name].data.decode(errors="replace")

    def _watch(self, stream: IO[bytes] | None, event: int, name: str) -> None:
        assert stream is not None
        os.set_blocking(stream.fileno(), False)
        self._selector.register(stream, event, name)

    def _step(self, wait_s: float) -> bool:
        if not self._selector.get_map():
            time.sleep(min(wait_s, 0.01))
            return False
        ready = self._selector.select(wait_s)
        for key, _ in ready:
            stream = key.fileobj
            assert not isinstance(stream, int)
            if not (self._write(key.fd) if key.data == "stdin" else self._read(key.fd, key.data)):
                self._selector.unregister(stream)
                if key.data == "stdin":
                    stream.close()  # type: ignore[attr-defined]
        return bool(ready)

    def _read(self, descriptor: int, name: str) -> bool:
        try:
            chunk = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return True
        self._kept[name].add(chunk)
        return bool(chunk)

    def _write(self, descriptor: int) -> bool:
        try:
            self._left = self._left[os.write(descriptor, self._left[:_CHUNK]) :] if self._left else self._left
        except BlockingIOError:
            return True
        except BrokenPipeError:
            return False
        return bool(self._left)
