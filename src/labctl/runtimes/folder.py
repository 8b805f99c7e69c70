"""Where a session keeps its things on this host: `$LABCTL_HOME/sessions/<session>/`, readable by its owner only."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from labctl.disk import locked
from labctl.errors import EngineError, NotFoundError

_SESSION = re.compile(r"[a-z0-9][a-z0-9-]*")


@dataclass(frozen=True, slots=True)
class SessionFolder:
    """The files of one session. supervisord runs in it, so that its configuration needs no absolute path."""

    home: Path
    session: str

    def __post_init__(self) -> None:
        if not _SESSION.fullmatch(self.session):
            raise NotFoundError(f"{self.session!r} is no session id", "`labctl status` shows the sessions there are")

    @property
    def root(self) -> Path:
        return self.home / "sessions" / self.session

    @property
    def conf(self) -> Path:
        return self.root / "supervisord.conf"

    @property
    def socket(self) -> Path:
        return self.root / "supervisor.sock"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def launches(self) -> Path:
        return self.root / "run"

    @property
    def ports(self) -> Path:
        return self.root / "ports.json"

    @property
    def published(self) -> Path:
        """On which ports of this host the session's ports were last published: {service/port: number}."""
        return self.root / "published.json"

    @property
    def healthy(self) -> Path:
        """Which process of each service has been seen healthy: {service: pid}."""
        return self.root / "healthy.json"

    @property
    def handle(self) -> Path:
        return self.root / "handle.json"

    @property
    def plan(self) -> Path:
        return self.root / "plan.json"

    @property
    def marks(self) -> dict[str, str]:
        """What the environment of every process of the session holds, and of no other's."""
        return {"LABCTL_SESSION": self.session, "LABCTL_HOME": str(self.home)}

    def log(self, service: str) -> Path:
        """The newest log file of a service."""
        return self.logs / f"{service}.log"

    def create(self) -> None:
        """Make the folder with all that services need in it. Raises EngineError as `create_root` does."""
        self.create_root()
        for folder in (self.logs, self.launches):
            folder.mkdir(mode=0o700, exist_ok=True)

    def create_root(self) -> None:
        """Make the folder, for its owner only. Raises EngineError when it belongs to somebody else."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = self.root.stat().st_uid
        if owner != os.getuid():
            raise EngineError(f"{self.root} belongs to user {owner}", "give labctl a LABCTL_HOME of your own")
        self.root.chmod(0o700)

    @contextmanager
    def lock(self, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Only one labctl at a time changes a session; `waiting` is called when another one is at it."""
        with locked(self.root / "lock", waiting):
            yield
