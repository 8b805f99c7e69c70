"""Listens on loopback for the sessions of a LABCTL_HOME and carries each connection to a pod that is ready.

    python -m labctl.runtimes.kubernetes.forwarder HOME [KUBECONFIG]

It follows the files of `HOME/forwards` (forwards.py), looks for the pod anew with every connection, so that a pod that was
replaced is no matter, and ends when no session has been there for a while. Killed, it loses nothing: the next `up` or
`status` starts it again.
"""

from __future__ import annotations

import fcntl
import json
import os
import selectors
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from labctl.disk import read_json, write_atomically
from labctl.runtimes.docker.labels import SERVICE
from labctl.runtimes.exchange import LOOPBACK
from labctl.runtimes.kubernetes import forwards, streams
from labctl.runtimes.kubernetes.api import Api
from labctl.runtimes.kubernetes.seen import answering, seen

_LOOK_S = 0.1
_IDLE_S = 20.0
_PIECE = 65536
_TRIES = 20


class Forwarder:
    """`serve` runs until there is nothing to listen for."""

    def __init__(self, home: Path, kubeconfig: str | None) -> None:
        self._folder = forwards.folder_of(home)
        self._api = Api(kubeconfig)
        self._listening: dict[int, tuple[socket.socket, str, str, str, int]] = {}
        self._selector = selectors.DefaultSelector()
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()
        self._since = f"{time.time():.0f}"
        self._seen: dict[str, float] = {}

    def serve(self) -> None:
        idle_since = time.monotonic()
        while time.monotonic() - idle_since < _IDLE_S:
            self._follow()
            if self._listening:
                idle_since = time.monotonic()
            for key, _ in self._selector.select(_LOOK_S):
                self._accept(key.data)

    def _follow(self) -> None:
        """Listen for what the files say, and for nothing else."""
        files = (
            {file.stem: file.stat().st_mtime_ns for file in self._folder.glob("*.json")}
            if self._folder.is_dir()
            else {}
        )
        if files == self._seen:
            return
        self._seen = dict(files)
        wanted: dict[int, tuple[str, str, str, int]] = {}
        for session in files:
            told = read_json(self._folder / f"{session}.json")
            for local, (service, port) in told.get("ports", {}).items():
                wanted[int(local)] = (session, told["namespace"], service, int(port))
        for local in [local for local, (_, *way) in self._listening.items() if wanted.get(local) != tuple(way)]:
            self._close(local)
        for local, way in wanted.items():
            if local not in self._listening:
                self._listen(local, way)

    def _listen(self, local: int, way: tuple[str, str, str, int]) -> None:
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((LOOPBACK, local))
        except OSError as error:
            _say(f"port {local} of {way[0]} cannot be listened on: {error.strerror}")
            server.close()
            self._seen = {}  # somebody may still be leaving it
            return
        server.listen(128)
        server.setblocking(False)
        self._listening[local] = (server, *way)
        self._selector.register(server, selectors.EVENT_READ, local)

    def _close(self, local: int) -> None:
        server = self._listening.pop(local)[0]
        self._selector.unregister(server)
        server.close()

    def _accept(self, local: int) -> None:
        server, session, namespace, service, port = self._listening[local]
        try:
            client, _ = server.accept()
        except OSError:  # it went away again
            return
        client.setblocking(True)
        self._count(session)
        threading.Thread(target=self._carry, args=(client, namespace, service, port), daemon=True).start()

    def _count(self, session: str) -> None:
        """Write down that somebody came: that is how idle sessions are told from used ones."""
        with self._lock:
            self._counts[session] = self._counts.get(session, 0) + 1
            told = {"since": self._since, "connections": self._counts[session]}
            with suppress(OSError):
                write_atomically(self._folder / f"{session}.asked", json.dumps(told))

    def _carry(self, client: socket.socket, namespace: str, service: str, port: int) -> None:
        try:
            with client, self._connected(namespace, service, port) as server:
                back = threading.Thread(target=_pump, args=(server, client), daemon=True)
                back.start()
                _pump(client, server)
                back.join()
        except Exception as error:  # noqa: BLE001 - one connection; the others go on
            _say(f"{namespace}/{service}:{port}: {error}")

    def _connected(self, namespace: str, service: str, port: int) -> socket.socket:
        pods = self._api.items("Pod", namespace, labelSelector=f"{SERVICE}={service}")
        pod = answering(map(seen, pods), service)
        if pod is None or not pod.running:
            raise ConnectionError("no pod of it runs")
        return streams.connect(self._api, namespace, pod.name, port)


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Pass on what comes until either side has had enough."""
    with suppress(OSError):
        while data := source.recv(_PIECE):
            target.sendall(data)
    for each in (source, target):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def main(home: Path, kubeconfig: str | None = None) -> None:
    """Only one a home: whoever comes second has nothing to do."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(home / forwards.LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for _ in range(_TRIES):  # who only looks whether we run holds it for a moment, too
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOOK_S)
        else:
            Forwarder(home, kubeconfig).serve()
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:3])
