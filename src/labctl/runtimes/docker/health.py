"""Whether services are ready, by their health checks, asked from the host's side."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from labctl.images.engine import engine_errors
from labctl.runtimes.exchange import NoAnswer, exchange

if TYPE_CHECKING:
    from docker import DockerClient

PROBE_S = 3.0
COMMAND_S = 10.0
_SPARE_S = 3.0
_POLL_S = 0.02
_BOUNDED = ("timeout", "-k", "1", f"{COMMAND_S:g}")
_NOT_RUN = (126, 127)
_KILLED = (124, 137)
_DYING = ("cannot exec", "is not running", "setns", "exec failed", "no such process")
"""How engines and runtimes put it when a container ends in the middle of an exec."""


class Probes:
    """The probes of one session. `ingress` is its ingress container, `doors` maps (part, port name) to the host's port."""

    def __init__(self, client: DockerClient, ingress: str | None, doors: Mapping[tuple[str, str], int]) -> None:
        self._client = client
        self._ingress = ingress
        self._doors = doors

    def complaint(self, part: str, container: str, check: Mapping[str, Any] | None, ports: Mapping[str, int]) -> str:
        """Why it is not ready, in a few words; empty when it is, or when it has no health check. Raises EngineError."""
        if check is None:
            return ""
        if check["command"] is not None:
            return self._command(container, check["command"], check["command"][0])
        name = check["port"] or next(iter(ports))
        if self._ingress is None or (check["http"] and (part, name) not in self._doors):
            return "the session's ingress is not running"
        if check["http"]:
            return self._http(self._doors[part, name], check["http"])
        return self._tcp(part, ports[name])

    def _http(self, port: int, path: str) -> str:
        try:
            answer = exchange(port, path, timeout_s=PROBE_S, max_bytes=1024)
        except NoAnswer as error:
            return f"GET {path}: {error}"
        return "" if answer.status < 400 else f"GET {path} answered {answer.status}"

    def _tcp(self, part: str, port: int) -> str:
        """From the ingress, which is on the session's network: it would itself accept what the service does not."""
        script = 'exec 3<>"/dev/tcp/$0/$1"'
        said = self._command(self._ingress or "", ["bash", "-c", script, part, str(port)], "connecting")
        return said and f"nothing accepts connections on port {port}"

    def _command(self, container: str, command: Sequence[str], name: str) -> str:
        """With `timeout` where the image has it: a check that hangs must not stay behind, one more at every look."""
        code = self._exit_code(container, [*_BOUNDED, *command])
        if code in _NOT_RUN:
            code = self._exit_code(container, command)
        if isinstance(code, str):
            return f"{name} cannot be run: {code}"
        if code in (None, *_KILLED):
            return f"{name} did not end within {COMMAND_S:g}s"
        return "" if code == 0 else f"{name} exited with {code}"

    def _exit_code(self, container: str, command: Sequence[str]) -> int | str | None:
        """The exit code; None when it goes on, a text when the container cannot run anything any more."""
        import docker.errors

        with engine_errors():
            try:
                run = self._client.api.exec_create(container, list(command), stdout=False, stderr=False)["Id"]
                self._client.api.exec_start(run, detach=True)
                deadline = time.monotonic() + COMMAND_S + _SPARE_S
                while (seen := self._client.api.exec_inspect(run))["Running"] or seen["ExitCode"] is None:
                    if time.monotonic() > deadline:
                        return None
                    time.sleep(_POLL_S)
            except docker.errors.APIError as error:
                said = str(error.explanation or error)
                if error.status_code not in (404, 409) and not any(word in said for word in _DYING):
                    raise
                return said[:200]
        return int(seen["ExitCode"])
