"""One HTTP exchange within a deadline, whatever the other side does: with a loopback port, or over a connection.

The standard library's client, because a probe must cost milliseconds: no proxies, no redirects, no cookies.
"""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from labctl.target import Request, Response

NOTEBOOK = "workspace"
"""The name of the service that is JupyterLab: no service of a lab may have it."""
LOOPBACK = "127.0.0.1"
PROBE_ADDRESS = "127.76.67.1"
"""Where health checks come from, so that they can be told from requests: on Linux all of 127.0.0.0/8 is this host."""


Connect = Callable[[float], socket.socket]
"""Makes a connection within so many seconds. Raises OSError."""


class NoAnswer(Exception):
    """Nothing that can be used came back; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Header names are lower case; `truncated`: the body was longer than asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool


def exchange(
    port: int,
    path: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout_s: float,
    max_bytes: int,
    source: str | None = None,
    connect: Connect | None = None,
) -> Answer:
    """The answer. `timeout_s` bounds connection, headers and body together; `source` is our own address. Raises NoAnswer.

    `connect` makes the connection where it is not one to loopback.
    """
    connection = _Connection(port, timeout_s, source, connect)
    try:
        connection.request(method, path, body=body, headers=dict(headers or {}))
        response = connection.getresponse()
        data = _read(response, max_bytes + 1)
    except TimeoutError as error:
        raise NoAnswer(f"no complete answer within {timeout_s:g}s") from error
    except ConnectionRefusedError as error:
        raise NoAnswer(f"nothing listens on port {port}") from error
    except OSError as error:
        raise NoAnswer(f"the connection broke: {error.strerror or error}") from error
    except (http.client.HTTPException, ValueError) as error:
        raise NoAnswer(f"the answer is not HTTP: {type(error).__name__} {str(error)[:200]}".rstrip()) from error
    finally:
        connection.close()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(status=response.status, headers=headers, body=data[:max_bytes], truncated=len(data) > max_bytes)


def answer_over(connect: Connect, request: Request) -> Response:
    """What `request` gets over a connection that `connect` makes. Raises NoAnswer."""
    return answer(0, request, connect)


def answer(port: int, request: Request, connect: Connect | None = None) -> Response:
    """What `request` gets from the port that stands for its service on this host. Raises NoAnswer."""
    started = time.monotonic()
    got = exchange(
        port,
        request.path,
        method=request.method,
        headers=request.headers,
        body=request.body,
        timeout_s=request.timeout_s,
        max_bytes=request.max_bytes,
        connect=connect,
    )
    return Response(
        status=got.status,
        headers=got.headers,
        body=got.body,
        duration_s=time.monotonic() - started,
        truncated=got.truncated,
    )


def connects(port: int, timeout_s: float, source: str | None = None) -> None:
    """Return when something accepts connections on the port. Raises NoAnswer."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.settimeout(timeout_s)
            _come_from(probe, source)
            probe.connect((LOOPBACK, port))
    except OSError as error:
        raise NoAnswer(f"nothing accepts connections on port {port}") from error


def _come_from(client: socket.socket, source: str | None) -> None:
    """Where a system has but one loopback address, it stays that."""
    if source is not None:
        with suppress(OSError):
            client.bind((source, 0))


def _read(response: http.client.HTTPResponse, limit: int) -> bytes:
    parts = []
    while limit > 0 and (part := response.read1(min(limit, 65536))):
        parts.append(part)
        limit -= len(part)
    if limit > 0 and response.length:
        raise NoAnswer(f"the answer broke off {response.length} bytes before its end")
    response.close()
    return b"".join(parts)


class _Connection(http.client.HTTPConnection):
    def __init__(self, port: int, timeout_s: float, source: str | None, connect: Connect | None) -> None:
        super().__init__(LOOPBACK, port)
        self._source = source
        self._connect = connect
        self._deadline = time.monotonic() + timeout_s

    def connect(self) -> None:
        if self._connect is not None:
            made = self._connect(max(0.1, self._deadline - time.monotonic()))
            self.sock = _DeadlineSocket(fileno=made.detach())
            self.sock.deadline = self._deadline
            return
        self.sock = _DeadlineSocket(socket.AF_INET, socket.SOCK_STREAM)
        self.sock.deadline = self._deadline
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(self.sock.left())
        _come_from(self.sock, self._source)
        self.sock.connect((self.host, self.port))


class _DeadlineSocket(socket.socket):
    """Every send and receive gets what is left until the deadline, so that a slow drip cannot go on for ever."""

    deadline = 0.0

    def left(self) -> float:
        seconds = self.deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds

    def recv_into(self, *arguments: Any, **named: Any) -> int:
        self.settimeout(self.left())
        return super().recv_into(*arguments, **named)

    def sendall(self, *arguments: Any, **named: Any) -> None:
        self.settimeout(self.left())
        super().sendall(*arguments, **named)
