"""A proxy between labctl and a real cluster's API that fails where a test says so, and passes on everything else, streams too.

It holds the client's credentials: the kubeconfig that it writes names only its own address.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from labctl.runtimes.kubernetes.api import Api

_PIECE = 65536
Act = Callable[["Proxy", socket.socket, bytes], None]
"""What is done to a client that has sent the request in the third argument."""


@dataclass(slots=True, kw_only=True)
class Fault:
    """What happens to the next `times` requests whose `METHOD /path?query` matches. `met_at`: when it did, by the monotonic clock."""

    matching: str
    act: Act
    times: int = 1
    met_at: list[float] = field(default_factory=list)


def answers(status: int, *, reason: str = "", text: str = "", retry_after_s: int | None = None) -> Act:
    """Refuse as the API does."""
    body = json.dumps({"kind": "Status", "reason": reason, "message": text, "code": status}).encode() if reason else b""
    wait = "" if retry_after_s is None else f"Retry-After: {retry_after_s}\r\n"
    head = f"HTTP/1.1 {status} Fault\r\n{wait}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return lambda _proxy, client, _request: client.sendall(head.encode() + body)


def tells(event: dict[str, object]) -> Act:
    """Answer a watch with one event, and end it."""
    return lambda _proxy, client, _request: client.sendall(
        _streaming(json.dumps(event).encode() + b"\n") + b"0\r\n\r\n"
    )


def is_silent(_proxy: Proxy, client: socket.socket, _request: bytes) -> None:
    """Begin to answer, and say nothing until the client leaves."""
    client.sendall(_streaming())
    client.recv(1)


def breaks(_proxy: Proxy, client: socket.socket, _request: bytes) -> None:
    """Reset the connection before anything was done."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def loses_answer(proxy: Proxy, client: socket.socket, request: bytes) -> None:
    """Have the API do it, and reset the connection instead of telling."""
    with proxy.upstream() as server:
        server.sendall(request)
        server.recv(1)
    breaks(proxy, client, request)


def restarts(down_s: float) -> Act:
    """Nobody answers for a while, and all connections break."""
    return lambda proxy, _client, _request: proxy.restart(down_s)


class Proxy:
    """Listens from `start` to `close`."""

    def __init__(self, kubeconfig: str, folder: Path) -> None:
        self._configuration = Api(kubeconfig).configuration
        self.faults: list[Fault] = []
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._server = _listen(0)
        self._port = self._server.getsockname()[1]
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(_kubeconfig(f"http://127.0.0.1:{self._port}"))
        self._serve()

    def fault(self, matching: str, act: Act, times: int = 1) -> Fault:
        """Have it happen from now on."""
        made = Fault(matching=matching, act=act, times=times)
        self.faults.append(made)
        return made

    def restart(self, down_s: float) -> None:
        """Go away, and be back after `down_s`."""
        self.close()
        threading.Timer(down_s, self._back).start()

    def close(self) -> None:
        """Stop listening, and break every connection."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        with self._lock:
            for each in self._open:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def upstream(self) -> socket.socket:
        """A connection to the real API."""
        made, host = self._configuration, urlsplit(self._configuration.host)
        plain = socket.create_connection((host.hostname, host.port or 443), timeout=10)
        plain.settimeout(None)
        if host.scheme != "https":
            return plain
        context = ssl.create_default_context(cafile=made.ssl_ca_cert)
        if made.cert_file:
            context.load_cert_chain(made.cert_file, made.key_file)
        return context.wrap_socket(plain, server_hostname=made.tls_server_name or host.hostname)

    def _back(self) -> None:
        self._server = _listen(self._port)
        self._serve()

    def _serve(self) -> None:
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()

    def _accept(self, server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                threading.Thread(target=self._handle, args=(client,), daemon=True).start()

    def _handle(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            request = _read(client.makefile("rb"), self._authorization())
            act = self._due(request)
            if act is not None:
                act(self, client, request)
            elif request:
                self._pass_on(client, request)

    def _due(self, request: bytes) -> Act | None:
        line = request.split(b"\r\n", 1)[0].decode()
        with self._lock:
            for each in self.faults:
                if len(each.met_at) < each.times and re.search(each.matching, line):
                    each.met_at.append(time.monotonic())
                    return each.act
        return None

    def _pass_on(self, client: socket.socket, request: bytes) -> None:
        with self.upstream() as server:
            with self._lock:
                self._open |= {client, server}
            server.sendall(request)
            threading.Thread(target=_pump, args=(client, server), daemon=True).start()
            _pump(server, client)
            with self._lock:
                self._open -= {client, server}

    def _authorization(self) -> str:
        found = self._configuration.auth_settings().get("BearerToken")
        return f"Authorization: {found['value']}\r\n" if found and found.get("value") else ""


def _listen(port: int) -> socket.socket:
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", port))
    server.listen(128)
    return server


def _read(stream: IO[bytes], authorization: str) -> bytes:
    """One request, as it goes to the API: on a connection of its own, unless it is to become a stream."""
    lines = []
    while (line := stream.readline()) not in (b"\r\n", b""):
        lines.append(line)
    if not lines:
        return b""
    head = b"".join(lines)
    size = re.search(rb"(?i)^content-length: *(\d+)", head, re.MULTILINE)
    close = b"" if re.search(rb"(?i)^upgrade:", head, re.MULTILINE) else b"Connection: close\r\n"
    body = stream.read(int(size[1])) if size else b""
    return head + close + authorization.encode() + b"\r\n" + body


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_PIECE):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _streaming(first: bytes = b"") -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + (f"{len(first):x}\r\n".encode() + first + b"\r\n" if first else b"")


def _kubeconfig(server: str) -> str:
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "proxy",
            "clusters": [{"name": "proxy", "cluster": {"server": server}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
            "users": [{"name": "proxy", "user": {}}],
        }
    )
