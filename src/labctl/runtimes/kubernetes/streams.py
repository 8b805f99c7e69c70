"""What goes through the API to a container: a command with its streams, a connection to a port."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import IO, Any, Protocol

from labctl.errors import EngineError
from labctl.runtimes.kubernetes import kinds
from labctl.runtimes.kubernetes.api import Api, stream_errors
from labctl.runtimes.kubernetes.refusals import ApiError
from labctl.target import CommandResult

_STDIN, _STDOUT, _STDERR, _ERROR = 0, 1, 2, 3
_PIECE = 64 * 1024
_LOOK_S = 0.2
_LONGEST_S = 3600.0
_MAX_STDERR = 1_000_000
_FED = 'head -c "$0" | { "$@"; code=$?; cat >/dev/null; exit $code; }'
"""Older clusters cannot say that input has ended, so it is counted; what the command leaves of it must be read all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A container."""

    namespace: str
    pod: str
    container: str


def run(
    api: Api,
    place: Place,
    command: Sequence[str],
    *,
    stdin: bytes = b"",
    timeout_s: float,
    max_output_bytes: int,
) -> CommandResult:
    """Run `command` in the container. One that `timed_out` is not ended here. Raises EngineError."""
    started = time.monotonic()
    stdout, stderr = _Kept(max_output_bytes), _Kept(max_output_bytes)
    exchange = _Exchange(api, place, command, BytesIO(stdin), len(stdin), stdout, stderr, started + timeout_s)
    code = exchange.exit_code()
    return CommandResult(
        exit_code=137 if code is None else code,
        stdout=stdout.text,
        stderr=stderr.text,
        duration_s=time.monotonic() - started,
        timed_out=code is None,
        truncated=stdout.is_cut or stderr.is_cut,
    )


def pipe(
    api: Api, place: Place, command: Sequence[str], stdin: IO[bytes], size: int, stdout: IO[bytes]
) -> tuple[int, str]:
    """Run `command` with `size` bytes of `stdin`, its output written to `stdout`; exit code and standard error. Raises EngineError."""
    stderr = _Kept(_MAX_STDERR)
    code = _Exchange(api, place, command, stdin, size, stdout, stderr, time.monotonic() + _LONGEST_S).exit_code()
    return (137 if code is None else code), stderr.text


def connect(api: Api, namespace: str, pod: str, port: int) -> socket.socket:
    """A connection to a port of a pod. Raises ApiError."""
    from kubernetes.stream.ws_client import create_websocket, get_websocket_url

    with stream_errors():
        api.sent += 1
        where = kinds.path("Pod", namespace, pod) + "/portforward"
        headers = {**api.authorization(), "sec-websocket-protocol": "v4.channel.k8s.io"}
        made = create_websocket(
            api.configuration, get_websocket_url(api.websocket_url(where, {"ports": str(port)})), headers
        )
    ours, theirs = socket.socketpair()
    tunnel = _Tunnel(made, theirs)
    for carry in (tunnel.up, tunnel.down):
        threading.Thread(target=carry, name=f"{pod}:{port}", daemon=True).start()
    return ours


class _Tunnel:
    """Carries bytes between a socket and a websocket of the API: channel 0 has the data, channel 1 errors."""

    def __init__(self, websocket: Any, inner: socket.socket) -> None:
        self._websocket = websocket
        self._inner = inner
        self._closing = threading.Lock()
        self._left = 2

    def up(self) -> None:
        with suppress(Exception):
            while data := self._inner.recv(_PIECE):
                self._websocket.send_binary(bytes([0]) + data)
        self._end()

    def down(self) -> None:
        greeted = set[int]()  # the first frame of each channel only names the port
        with suppress(Exception):
            while data := self._websocket.recv():
                if data[0] not in greeted:
                    greeted.add(data[0])
                elif data[0] == 1:
                    break
                else:
                    self._inner.sendall(data[1:])
        self._end()

    def _end(self) -> None:
        """Wake the other direction; whoever is last closes both."""
        for each in (self._inner, self._websocket.sock):
            with suppress(OSError, AttributeError):
                each.shutdown(socket.SHUT_RDWR)
        with self._closing:
            self._left -= 1
            if self._left == 0:
                self._inner.close()
                self._websocket.shutdown()


class _Kept:
    """Output up to a limit."""

    def __init__(self, limit: int) -> None:
        self._data = bytearray()
        self._limit = limit
        self.is_cut = False

    @property
    def text(self) -> str:
        return self._data.decode(errors="replace")

    def write(self, data: bytes) -> None:
        room = max(0, self._limit - len(self._data))
        self.is_cut |= len(data) > room
        self._data += data[:room]


class _Sink(Protocol):
    def write(self, data: bytes, /) -> Any: ...


class _Exchange:
    """One command: input goes out as the other side takes it, output is passed on as it comes."""

    def __init__(
        self,
        api: Api,
        place: Place,
        command: Sequence[str],
        source: IO[bytes],
        size: int,
        stdout: _Sink,
        stderr: _Sink,
        deadline: float,
    ) -> None:
        self._source, self._left = source, size
        self._deadline = deadline
        self._said = _Kept(_MAX_STDERR)
        self._sinks = {_STDOUT: stdout, _STDERR: stderr, _ERROR: self._said}
        words = ["sh", "-c", _FED, str(size), *command] if size else list(command)
        self._client = _open(api, place, words, has_input=size > 0)

    def exit_code(self) -> int | None:
        """The exit code; None when it went on until the deadline."""
        try:
            with stream_errors():
                self._feed()
                while self._client.is_open() and time.monotonic() < self._deadline:
                    self._take(_LOOK_S)
                self._take(0)
                if self._client.is_open():
                    return None
        finally:
            self._client.sock.shutdown()
        return _exit_code(self._said.text)

    def _feed(self) -> None:
        while self._left > 0 and self._client.is_open() and time.monotonic() < self._deadline:
            piece = self._source.read(min(_PIECE, self._left))
            if not piece:
                return
            self._client.write_stdin(piece)
            self._left -= len(piece)
            self._take(0)

    def _take(self, wait_s: float) -> None:
        self._client.update(timeout=min(wait_s, max(0.0, self._deadline - time.monotonic())))
        for channel, sink in self._sinks.items():
            if self._client.peek_channel(channel):
                sink.write(self._client.read_channel(channel))


def _open(api: Api, place: Place, command: Sequence[str], *, has_input: bool) -> Any:
    from kubernetes.stream.ws_client import WSClient, get_websocket_url

    query = {
        "container": place.container,
        "command": list(command),
        "stdin": str(has_input).lower(),
        "stdout": "true",
        "stderr": "true",
        "tty": "false",
    }
    with stream_errors():
        api.sent += 1
        url = get_websocket_url(api.websocket_url(kinds.path("Pod", place.namespace, place.pod) + "/exec", query))
        return WSClient(api.configuration, url, api.authorization(), capture_all=False, binary=True)


def _exit_code(said: str) -> int:
    """What the API says of the end of a command. Raises ApiError when it did not run at all."""
    try:
        status = json.loads(said)
    except ValueError as error:
        raise EngineError(
            "the connection to the container broke off", "`labctl status` shows whether it runs"
        ) from error
    if status.get("status") == "Success":
        return 0
    causes = (status.get("details") or {}).get("causes") or []
    code = next((cause["message"] for cause in causes if cause.get("reason") == "ExitCode"), None)
    if code is None:
        raise ApiError(f"the command could not be run: {status.get('message', '')[:300]}")
    return int(code)
