"""What runs leave on record: a folder each, below LABCTL_HOME. A run that was killed is told by its lock, which nobody holds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from labctl.disk import locked, read_json, write_atomically
from labctl.errors import PreflightError
from labctl.hosts.events import after
from labctl.hosts.request import Request, from_json
from labctl.hosts.seen import Seen

KEPT = 20
ARTIFACTS = "ansible"
"""The name that ansible-runner is given for the one run in its private data folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run: `verb` is check or prepare, `status` running, killed, or what ansible-runner ended with."""

    id: str
    folder: Path
    verb: str
    request: Request
    status: str = "running"

    @property
    def mark(self) -> str:
        """What its processes bear."""
        return str(self.folder)

    @property
    def artifacts(self) -> Path:
        return self.folder / "artifacts" / ARTIFACTS

    def seen(self, roles: Sequence[str]) -> Seen:
        """What its events say, as far as they were written; `roles` are the playbook's."""
        state = Seen(known=tuple(roles))
        for file in sorted((self.artifacts / "job_events").glob("*-*.json"), key=_number):
            state = after(state, read_json(file))
        return state


@contextmanager
def recorded(home: Path, verb: str, request: Request, now: datetime) -> Iterator[Run]:
    """A run's folder, locked while it goes on. The oldest runs on record are removed."""
    below = _runs(home)
    below.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = _made(below, f"{now:%Y%m%d-%H%M%S}-{verb}")
    run = Run(id=folder.name, folder=folder, verb=verb, request=request)
    with locked(folder / "lock"):
        keep(run)
        _forget_old(below)
        yield run


def keep(run: Run) -> None:
    """Write what is known of a run."""
    values = {"verb": run.verb, "status": run.status, "request": run.request.to_json()}
    write_atomically(run.folder / "run.json", json.dumps(values, indent=2))


def ended(run: Run, status: str) -> Run:
    """The run with its end on record."""
    done = replace(run, status=status)
    keep(done)
    return done


def latest(home: Path, verb: str) -> Run | None:
    """The last run of `verb` that began; None when there is none on record."""
    return next((run for run in every(home) if run.verb == verb), None)


def every(home: Path) -> Iterator[Run]:
    """Every run on record, the latest first; what is damaged is left out."""
    for folder in sorted(_runs(home).glob("*/run.json"), reverse=True):
        run = _read(folder.parent)
        if run is not None:
            yield run


def killed(home: Path) -> Iterator[Run]:
    """Runs that have no end on record, and no labctl that goes on with them."""
    return (run for run in every(home) if run.status == "running" and not _is_held(run.folder / "lock"))


@contextmanager
def alone(home: Path, request: Request) -> Iterator[None]:
    """Nobody else prepares hosts of this inventory meanwhile. Raises PreflightError when somebody does."""
    import hashlib

    place = home / "hosts" / "locks"
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = hashlib.sha256("\n".join(sorted(request.inventory)).encode()).hexdigest()[:16]
    with locked(place / name, lambda: _refuse(request)):
        yield


def _refuse(request: Request) -> None:
    where = ", ".join(request.inventory)
    raise PreflightError(
        f"another labctl is preparing hosts of {where}", "wait until it has ended, or end it with Ctrl-C"
    )


def _runs(home: Path) -> Path:
    return home / "hosts" / "runs"


def _made(below: Path, name: str) -> Path:
    """A folder of this name; a number goes behind it when somebody else began in the same second."""
    for number in range(1, 1000):
        folder = below / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            continue
        return folder
    raise PreflightError(f"{below} holds a thousand runs of one second", f"remove {below}")


def _forget_old(below: Path) -> None:
    """Keep the last KEPT runs, those that go on, and the last that prepared: it may be resumed."""
    found = sorted((folder for folder in below.iterdir() if folder.is_dir()), reverse=True)
    last = next((folder for folder in found if "-prepare" in folder.name), None)
    for folder in found[KEPT:]:
        if folder != last and not _is_held(folder / "lock"):
            shutil.rmtree(folder, ignore_errors=True)


def _is_held(file: Path) -> bool:
    try:
        with locked(file, _busy):
            return False
    except _Busy:
        return True
    except FileNotFoundError:
        return False


class _Busy(Exception):
    """Somebody holds the lock."""


def _busy() -> None:
    raise _Busy


def _read(folder: Path) -> Run | None:
    values: Mapping[str, Any] = read_json(folder / "run.json")
    try:
        return Run(
            id=folder.name,
            folder=folder,
            verb=str(values["verb"]),
            request=from_json(values["request"]),
            status=str(values["status"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _number(file: Path) -> int:
    number = file.name.partition("-")[0]
    return int(number) if number.isdigit() else 0
