"""A LABCTL_HOME on an engine, and what tests do in it: everything goes through `labctl.sessions`, as the command line does."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from labctl import settings as settings_of
from labctl.progress import Step
from labctl.runtimes.base import Runtime, ServiceState
from labctl.sessions import end
from labctl.sessions.context import Context
from labctl.sessions.up import UpRequest, changes, prepare, up
from labctl.sessions.view import SessionView, view
from labctl.store.records import Session
from labctl.store.store import Store
from labctl.target import Request, Target
from tests.conformance import labs
from tests.conformance.engines import Engine
from tests.conftest import Clock


class Home:
    """Labs, workspaces and sessions below `folder`. Learner `ada` is the one who types."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        self.folder = folder
        self.engine = engine
        self.clock = Clock()
        self.steps: list[Step] = []
        self.connect()

    def connect(self) -> None:
        """Begin anew as another labctl would: settings, store and runtime read again."""
        chosen = settings_of.load(self.environ)
        made = self.engine.runtime(chosen)
        self.settings = chosen
        self.ctx = Context(
            settings=chosen,
            store=Store(chosen),
            runtime=lambda _name: made,
            runtimes=(self.engine.name,),
            now=self.clock,
        )

    @property
    def environ(self) -> dict[str, str]:
        """What a labctl of its own needs in its environment to work in this home."""
        return {
            "LABCTL_HOME": str(self.folder / "home"),
            "LABCTL_LABS": str(self.folder / "labs"),
            "LABCTL_WORKSPACES": str(self.folder / "work"),
            "LABCTL_LEARNER": "ada",
            "LABCTL_RUNTIME": self.engine.name,
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            **self.engine.environ(),
        }

    @property
    def runtime(self) -> Runtime:
        return self.ctx.runtime(self.engine.name)

    def write(self, services: Mapping[str, labs.Service], **workspace: Any) -> Path:
        """The lab's folder with these services; again: the lab is edited. `workspace` is its section of the lab file."""
        (self.folder / "labs").mkdir(parents=True, exist_ok=True)
        return labs.write(self.folder / "labs", services, **workspace)

    def up(self, learner: str = "ada", **choices: Any) -> SessionView:
        return up(self.ctx, self._request(learner, **choices), self.steps.append)

    def changes(self, learner: str = "ada") -> list[str]:
        """What `up` would do now, in words."""
        return changes(prepare(self.ctx, self._request(learner)))

    def session(self, learner: str = "ada") -> Session:
        found = self.ctx.store.session(self.id(learner))
        assert found, f"there is no session {self.id(learner)}"
        return found

    def status(self, learner: str = "ada") -> SessionView:
        return view(self.ctx, self.session(learner))

    def service(self, name: str, learner: str = "ada") -> ServiceState:
        return next(service for service in self.status(learner).services if service.name == name)

    def workspace(self, learner: str = "ada") -> Path:
        return Path(self.session(learner).workspace)

    def order(self) -> list[str]:
        """What services have noted, in the order in which it happened."""
        file = self.workspace() / "order.txt"
        return file.read_text().splitlines() if file.exists() else []

    def target(self, learner: str = "ada") -> Target:
        return self.runtime.target(self.session(learner).handle)

    def ask(self, service: str, learner: str = "ada") -> Any:
        """What `GET /` of a server tells: its environment and start."""
        answer = self.target(learner).request(Request(service=service, timeout_s=20))
        assert answer.status == 200
        return json.loads(answer.body)

    def send(self, service: str, method: str, path: str, body: bytes | None = None) -> bytes:
        request = Request(service=service, method=method, path=path, body=body, timeout_s=20)
        answer = self.target().request(request)
        assert answer.status == 200, answer.text
        return answer.body

    def logs(self, service: str, **choices: Any) -> list[str]:
        return list(self.runtime.logs(self.session().handle, service, **choices))

    def exec(self, *command: str, service: str | None = None) -> int:
        return self.runtime.exec(self.session().handle, command, service=service)

    def identity(self, service: str, learner: str = "ada") -> str:
        return self.engine.identity(self.settings, self.id(learner), service)

    def kill(self, service: str, learner: str = "ada") -> None:
        self.engine.kill(self.settings, self.id(learner), service)

    def break_engine(self) -> None:
        self.engine.break_engine(self.settings, self.id())
        self.connect()

    def mend_engine(self) -> None:
        self.engine.mend_engine()
        self.connect()

    def down(self, learner: str = "ada", **choices: Any) -> Session:
        return end.down(self.ctx, self.session(learner), self.steps.append, **choices)

    def gc(self, **choices: Any) -> list[end.Collected]:
        return end.gc(self.ctx, self.steps.append, **choices)

    def lose_database(self) -> None:
        for file in self.settings.home.glob("labctl.db*"):
            file.unlink()
        self.connect()

    def remains(self) -> list[str]:
        """The sessions of this home of which the engine still has something."""
        found = {remain.session for remain in self.runtime.remains()}
        return sorted(found)

    def end_everything(self) -> None:
        """Whatever a test did: afterwards the engine has nothing of this home."""
        self.mend_engine()
        left = {*(each.id for each in self.ctx.store.sessions(live=True)), *self.remains()}
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda session: self.runtime.down({"session": session}, self.steps.append), left))
        assert self.remains() == []

    @staticmethod
    def id(learner: str = "ada") -> str:
        return f"{labs.LAB}--{learner}"

    def _request(self, learner: str, **choices: Any) -> UpRequest:
        return UpRequest(lab=labs.LAB, learner=learner, **choices)


def until(holds: Callable[[], bool], *, within_s: float = 90.0) -> None:
    """Return as soon as `holds()`; AssertionError when it does not in time."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def is_free(lock: Path) -> bool:
    """Whether the process that held `lock` (services/worker.py) has ended."""
    import fcntl

    descriptor = os.open(lock, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
