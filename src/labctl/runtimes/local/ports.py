"""Free loopback ports, kept for a session's life and never handed to two sessions."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

from labctl.disk import locked, read_json, write_atomically
from labctl.errors import PreflightError
from labctl.runtimes.exchange import LOOPBACK
from labctl.runtimes.folder import SessionFolder

_RANGE = range(20_000, 32_000)  # below what Linux takes for outgoing connections (from 32768)

PortName = tuple[str, str]


def keep(
    folder: SessionFolder, wanted: Iterable[PortName], is_ours: Callable[[PortName, int], bool]
) -> dict[PortName, int]:
    """A port for each (service, port name): the one it had, unless somebody else has taken it, or a free one.

    `is_ours` says whether the session itself holds a port that is in use.
    """
    wanted = list(wanted)
    if not wanted:
        return {}
    folder.create_root()
    with locked(folder.home / "ports.lock"):
        before = _read(folder.ports)
        kept = {
            name: port for name, port in before.items() if name in wanted and (is_free(port) or is_ours(name, port))
        }
        taken = _taken(folder) if len(kept) < len(wanted) else set()
        for name in wanted:
            if name not in kept:
                kept[name] = _pick(taken | set(kept.values()))
        if kept != before:
            text = json.dumps({"/".join(name): port for name, port in kept.items()}, indent=1)
            write_atomically(folder.ports, text)
    return {name: kept[name] for name in wanted}


def of(folder: SessionFolder) -> dict[PortName, int]:
    """The ports that are kept for the session."""
    return _read(folder.ports)


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as servers do: connections in TIME_WAIT don't count
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _pick(taken: set[int]) -> int:
    start = random.randrange(len(_RANGE))  # noqa: S311 - spreads the ports of users who share a host; no secret
    for offset in range(len(_RANGE)):
        port = _RANGE[(start + offset) % len(_RANGE)]
        if port not in taken and is_free(port):
            return port
    raise PreflightError(f"no free port between {_RANGE.start} and {_RANGE.stop}", "end some sessions: `labctl status`")


def _taken(folder: SessionFolder) -> set[int]:
    others = (file for file in folder.root.parent.glob("*/ports.json") if file != folder.ports)
    return {port for file in others for port in _read(file).values()}


def _read(file: Path) -> dict[PortName, int]:
    found = {}
    for key, port in read_json(file).items():
        service, _, name = key.partition("/")
        if isinstance(port, int):
            found[service, name] = port
    return found
