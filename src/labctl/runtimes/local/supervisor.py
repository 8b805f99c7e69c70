"""One supervisord a session: starting it, and asking it over its socket."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from labctl.errors import EngineError
from labctl.runtimes.folder import SessionFolder

_ANSWER_S = 10.0
_START_S = 60.0
_SHUTTING_DOWN, _BAD_NAME, _ALREADY_STARTED, _NOT_RUNNING = 6, 10, 60, 70


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A service as supervisord sees it; `state` is one of its words, for example RUNNING or BACKOFF. `pid` 0: none."""

    name: str
    state: str
    pid: int
    exit_code: int
    started_at: float
    reason: str

    @property
    def is_alive(self) -> bool:
        return self.state in ("STARTING", "RUNNING", "STOPPING")


class NotRunning(EngineError):
    """There is no supervisord to ask."""


class Supervisor:
    """The supervisord of one session."""

    def __init__(self, folder: SessionFolder) -> None:
        self._folder = folder
        self._transport = _UnixTransport(folder)
        self._proxy = xmlrpc.client.ServerProxy("http://localhost/RPC2", transport=self._transport)

    def processes(self) -> dict[str, Process] | None:
        """Every service by name; None when supervisord does not run, or is about to end."""
        try:
            return {info["name"]: _process(info) for info in self._call("getAllProcessInfo")}
        except NotRunning:
            return None
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == _SHUTTING_DOWN:
                return None
            raise

    def start_daemon(self, environ: dict[str, str]) -> None:
        """Start supervisord; it answers when this returns. Raises EngineError with what it said."""
        self._folder.socket.unlink(missing_ok=True)
        command = [sys.executable, "-P", "-m", "supervisor.supervisord", "-c", self._folder.conf.name]
        said = self._folder.root / "supervisord.start"
        with said.open("w") as stream:
            try:
                done = subprocess.run(
                    command,
                    cwd=self._folder.root,
                    env=environ,
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    timeout=_START_S,
                    check=False,
                )
            except subprocess.TimeoutExpired as error:
                raise EngineError(
                    "supervisord did not start in time", f"see {self._folder.root}/supervisord.log"
                ) from error
        if done.returncode != 0:
            lines = said.read_text(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
            raise EngineError(f"supervisord did not start: {lines[-1]}", f"see {self._folder.root}/supervisord.log")

    def reload(self) -> tuple[list[str], list[str], list[str]]:
        """Make supervisord read its configuration again: the services that were added, changed, removed."""
        try:
            ((added, changed, removed),) = self._call("reloadConfig")
        except xmlrpc.client.Fault as fault:
            raise EngineError(f"supervisord refused its configuration: {fault.faultString}") from fault
        return added, changed, removed

    def add(self, name: str) -> None:
        """Take a service of the configuration in, stopped."""
        self._call("addProcessGroup", name)

    def remove(self, name: str) -> None:
        """Forget a stopped service."""
        self._call("removeProcessGroup", name)

    def start(self, name: str) -> None:
        """Have a service started; it may already be. How that ends is in `processes`."""
        self._tolerate({_ALREADY_STARTED, 20, 21, 50}, "startProcess", name, False)

    def stop(self, names: Iterable[str], grace_s: float) -> None:
        """Stop these services at the same time and wait until they have ended. supervisord kills what outlives its grace."""
        names = set(names)
        for name in names:
            self._tolerate({_NOT_RUNNING, _BAD_NAME}, "stopProcess", name, False)
        deadline = time.monotonic() + grace_s + _ANSWER_S
        while alive := [p for p in (self.processes() or {}).values() if p.name in names and p.is_alive]:
            if time.monotonic() > deadline:
                raise EngineError(f"{alive[0].name} (process {alive[0].pid}) does not end", "see `labctl logs`")
            time.sleep(0.02)

    def shutdown(self) -> None:
        """End supervisord, whose services have been stopped; nothing happens when it does not run.

        It has nothing left to do, and would take a second over it: its loop looks up once in that time.
        """
        try:
            pid = self._call("getPID")
        except (NotRunning, xmlrpc.client.Fault):
            return
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
        self._folder.socket.unlink(missing_ok=True)

    def _tolerate(self, codes: set[int], method: str, *arguments: Any) -> None:
        try:
            self._call(method, *arguments)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode not in codes:
                raise EngineError(f"supervisord refused {method} {arguments[0]}: {fault.faultString}") from fault

    def _call(self, method: str, *arguments: Any) -> Any:
        try:
            return getattr(self._proxy.supervisor, method)(*arguments)
        except (FileNotFoundError, ConnectionError) as error:
            raise NotRunning(
                f"the supervisor of {self._folder.session} is not running", "`labctl up` starts it"
            ) from error
        except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as error:
            raise EngineError(
                f"the supervisor of {self._folder.session} does not answer: {error}",
                "`labctl down` ends it, `labctl up` starts it again",
            ) from error
        finally:
            self._transport.close()


def _process(info: dict[str, Any]) -> Process:
    return Process(
        name=info["name"],
        state=info["statename"],
        pid=info["pid"],
        exit_code=info["exitstatus"],
        started_at=info["start"],
        reason=info["spawnerr"],
    )


class _UnixTransport(xmlrpc.client.Transport):
    """XML-RPC over the session's socket."""

    def __init__(self, folder: SessionFolder) -> None:
        super().__init__()
        self._folder = folder

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        kept = self._connection[1]
        connection = kept if kept is not None else _UnixConnection(self._folder)
        self._connection = (host, connection)
        return connection


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, folder: SessionFolder) -> None:
        super().__init__("localhost", timeout=_ANSWER_S)
        self._folder = folder

    def connect(self) -> None:
        # a socket's path must be under 108 bytes: reach the folder, however deep, through its descriptor
        descriptor = os.open(self._folder.root, os.O_RDONLY | os.O_DIRECTORY)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.settimeout(_ANSWER_S)
            self.sock.connect(f"/proc/self/fd/{descriptor}/{self._folder.socket.name}")
        except OSError:
            self.sock.close()
            raise
        finally:
            os.close(descriptor)
