"""Every process of a session, found by the session's id in its environment, wherever it has gone; and their end."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import psutil

_DEVICES = ("/dev/nvidia", "/dev/dxg")

Marks = Mapping[str, str | None]
"""Environment variables that tell a session's processes; None stands for any value."""


def find(marks: Marks) -> list[psutil.Process]:
    """Processes whose environment holds all of `marks`; never this process nor one that it runs under."""
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return [
        process for process in psutil.process_iter() if process.pid not in own and _bears(_environ(process.pid), marks)
    ]


def sessions(home: Path) -> dict[str, list[int]]:
    """Process ids by session, for all sessions under `home` that have a process."""
    found: dict[str, list[int]] = {}
    for process in find({"LABCTL_HOME": str(home)}):
        names = [item for item in _environ(process.pid) if item.startswith(b"LABCTL_SESSION=")]
        if names:
            found.setdefault(names[0].partition(b"=")[2].decode(errors="replace"), []).append(process.pid)
    return found


def with_children(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """`processes` and all that run under them, each once."""
    found = {}
    for process in processes:
        try:
            family = [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
        found.update({member.pid: member for member in family})
    return list(found.values())


def end(processes: Iterable[psutil.Process], grace_s: float) -> list[psutil.Process]:
    """Ask each to end, kill what has not within `grace_s` seconds; what is left even then (processes of another user)."""
    alive = list(processes)
    for process in alive:
        _signal(process, force=False)
    _, alive = psutil.wait_procs(alive, timeout=grace_s)
    for process in alive:
        _signal(process, force=True)
    _, alive = psutil.wait_procs(alive, timeout=5)
    return alive


def end_all(marks: Marks, grace_s: float) -> list[psutil.Process]:
    """End every process that bears `marks`, also those that are born meanwhile; what is left even then."""
    left: list[psutil.Process] = []
    for _ in range(5):
        found = find(marks)
        if not found:
            return []
        left = end(with_children(found), grace_s)
    return left


def listening_ports(processes: Iterable[psutil.Process]) -> set[int]:
    """TCP ports on which any of these listens."""
    ports = set()
    for process in processes:
        try:
            connections = process.net_connections(kind="tcp")
        except psutil.Error:
            continue
        ports |= {found.laddr.port for found in connections if found.status == psutil.CONN_LISTEN}
    return ports


def variables(pid: int) -> dict[str, str]:
    """The environment that the process was started with; empty when it is gone or not ours to see."""
    pairs = (os.fsdecode(item).partition("=") for item in _environ(pid) if item)
    return {name: value for name, _, value in pairs}


def has_terminal(pid: int) -> bool:
    """Whether somebody may be typing into it, or reading it: it has a controlling terminal."""
    try:
        return psutil.Process(pid).terminal() is not None
    except psutil.Error:
        return False


def has_opened_gpu(pid: int) -> bool:
    """Whether it has a device of NVIDIA's driver open (`/dev/dxg` on WSL), as every program that uses CUDA has."""
    found = []
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                found.append(str(entry.readlink()))
    except OSError:  # ended, or somebody else's
        return False
    return any(place.startswith(_DEVICES) for place in found)


def _bears(environ: list[bytes], marks: Marks) -> bool:
    return all(_holds(environ, os.fsencode(name), value) for name, value in marks.items())


def _holds(environ: list[bytes], name: bytes, value: str | None) -> bool:
    if value is None:
        return any(item.startswith(name + b"=") for item in environ)
    return name + b"=" + os.fsencode(value) in environ


def _environ(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # ended, or somebody else's
        return []


def _signal(process: psutil.Process, *, force: bool) -> None:
    try:
        if force:
            process.kill()
        else:
            process.terminate()
    except psutil.Error:  # ended meanwhile, or not ours: `end` reports what is left
        return
