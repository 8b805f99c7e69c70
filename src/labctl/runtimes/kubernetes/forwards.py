"""The ways to a session's ports for the one person at this machine; who is in the cluster goes to the Services themselves.

One process a LABCTL_HOME (forwarder.py) listens on loopback for all its sessions; each session's ports are a file.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labctl.disk import locked, read_json, write_atomically
from labctl.errors import EngineError
from labctl.runtimes.exchange import LOOPBACK
from labctl.runtimes.folder import SessionFolder
from labctl.runtimes.kubernetes.configured import is_inside
from labctl.runtimes.local import ports

LOCK, LOG = "forwarder.lock", "forwarder.log"
_READY_S = 15.0
_POLL_S = 0.05
_APART = 'umask 077; "$@" </dev/null >"$0" 2>&1 &'
"""It outlives us, and is nobody's child that waits for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Where one port is reached from this process."""

    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


def folder_of(home: Path) -> Path:
    """Where the files of all sessions are: `<session>.json`, {namespace, ports: {local port: [service, port]}}."""
    return home / "forwards"


def ways(
    folder: SessionFolder, namespace: str, services: Mapping[str, Mapping[str, Any]]
) -> dict[tuple[str, str], Way]:
    """(service, port name) → the way to it."""
    if is_inside():
        return {
            (name, port): Way(host=f"{name}.{namespace}.svc", port=number)
            for name, known in services.items()
            for port, number in known["ports"].items()
        }
    return {name: Way(host=LOOPBACK, port=port) for name, port in ports.of(folder).items() if name[0] in services}


def keep(
    folder: SessionFolder, namespace: str, services: Mapping[str, Mapping[str, Any]], kubeconfig: str | None
) -> None:
    """Have the session's ports listened to: the same as before, wherever they are still free."""
    if is_inside():
        return
    numbers = {(name, port): number for name, known in services.items() for port, number in known["ports"].items()}
    file = _file(folder)
    before = read_json(file).get("ports", {})
    kept = ports.keep(folder, numbers, lambda _name, port: str(port) in before and is_running(folder.home))
    told = {
        "namespace": namespace,
        "ports": {str(local): [name[0], numbers[name]] for name, local in kept.items()},
    }
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not told["ports"]:
        file.unlink(missing_ok=True)
    elif read_json(file) != told:
        write_atomically(file, json.dumps(told))
    if told["ports"]:
        ensure(folder.home, kubeconfig)
        _await_listening(folder.home, list(kept.values()))


def forget(folder: SessionFolder) -> None:
    """Nobody listens for the session any more."""
    _file(folder).unlink(missing_ok=True)
    folder.ports.unlink(missing_ok=True)
    _counts(folder).unlink(missing_ok=True)


def asked(folder: SessionFolder) -> str:
    """Another text whenever somebody has come in since; empty when nobody has."""
    counted = read_json(_counts(folder))
    return f"{counted['since']} {counted['connections']}" if counted.get("connections") else ""


def is_running(home: Path) -> bool:
    """Whether the forwarder of this home runs: it holds its lock for as long as it lives."""
    try:
        descriptor = os.open(home / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def ensure(home: Path, kubeconfig: str | None) -> None:
    """Start the forwarder unless it runs."""
    with locked(home / f"{LOCK}.start"):
        if is_running(home):
            return
        program = [sys.executable, "-m", "labctl.runtimes.kubernetes.forwarder", str(home)]
        words = [*program, *([kubeconfig] if kubeconfig else [])]
        subprocess.run(["sh", "-c", _APART, str(home / LOG), *words], check=True, start_new_session=True, cwd="/")
        deadline = time.monotonic() + _READY_S
        while not is_running(home):
            if time.monotonic() > deadline:
                raise _broken(home)
            time.sleep(_POLL_S)


def _await_listening(home: Path, wanted: list[int]) -> None:
    deadline = time.monotonic() + _READY_S
    while any(ports.is_free(port) for port in wanted):
        if time.monotonic() > deadline or not is_running(home):
            raise _broken(home)
        time.sleep(_POLL_S)


def _broken(home: Path) -> EngineError:
    last = ((home / LOG).read_text(errors="replace").splitlines() or [""])[-1]
    return EngineError(f"the ports of the session are not forwarded: {last}", f"{home / LOG} says more")


def _file(folder: SessionFolder) -> Path:
    return folder_of(folder.home) / f"{folder.session}.json"


def _counts(folder: SessionFolder) -> Path:
    return folder_of(folder.home) / f"{folder.session}.asked"
