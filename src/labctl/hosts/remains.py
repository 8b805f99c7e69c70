"""Processes of Ansible that a run has left behind: its workers are in sessions of their own and outlive what started them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from labctl.hosts import runs

MARK = "LABCTL_HOST_RUN"
"""In the environment of everything that a run starts on this machine."""
_CLIENTS = ("ssh", "sshpass", "docker", "kubectl")
_ENDS_S = 2.0


def end(mark: str) -> None:
    """Kill Ansible and its connections where they bear the mark, and see them gone.

    What a task has started is left: a package manager ends its work, and a service that was just started is there to stay.
    """
    found = list(_marked(mark))
    for process in found:
        with suppress(psutil.Error):
            process.kill()
    deadline = time.monotonic() + _ENDS_S
    while any(map(_lives, found)) and time.monotonic() < deadline:
        time.sleep(0.01)


def clear(home: Path) -> tuple[str, ...]:
    """End what runs have left that were killed, and say so on their record. Their ids."""
    cleared = []
    for run in list(runs.killed(home)):
        end(run.mark)
        runs.ended(run, "killed")
        cleared.append(run.id)
    return tuple(cleared)


def _marked(mark: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == mark and _is_ansible(process):
                yield process


def _is_ansible(process: psutil.Process) -> bool:
    return process.name() in _CLIENTS or any("ansible" in word.lower() for word in process.cmdline())


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False
