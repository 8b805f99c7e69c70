"""The docker runtime: a session as hardened containers on the engine of this host."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from labctl.errors import NotFoundError
from labctl.progress import Progress, Step
from labctl.runtimes import handles as kept
from labctl.runtimes import secrets
from labctl.runtimes.base import Handle, Problem, Remain, ServiceState, Started
from labctl.runtimes.cache import disk_trouble
from labctl.runtimes.docker import cli, state
from labctl.runtimes.docker.engine import Engine
from labctl.runtimes.docker.parts import INGRESS_NAME, URL, WORKSPACE
from labctl.runtimes.docker.session import Session
from labctl.runtimes.folder import SessionFolder
from labctl.runtimes.terminal import in_terminal, without_terminal

if TYPE_CHECKING:
    from labctl.gpus.inventory import HeldGpu, Inventory
    from labctl.labs.lab import Lab
    from labctl.plan import Layout, Plan
    from labctl.runtimes.workspace import Workspace
    from labctl.settings import Settings
    from labctl.target import Target

_MODELS = "/models"
_MARK = "LABCTL_EXEC"
"""By its value what `exec` has begun is found again in a container, should it be interrupted."""


class DockerRuntime:
    """Implements `labctl.runtimes.base.Runtime`."""

    name = "docker"
    trust: Literal["self", "host", "cluster"] = "host"
    schedules = False

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._engine = Engine(settings)

    def layout(self, lab: Lab, session: str, workspace: Path) -> Layout:  # noqa: ARG002 - the same for every session
        from labctl.planning import declared_layout
        from labctl.runtimes import hub_models

        named = {name for profile in lab.spec.profiles.values() for name in profile.model_names}
        local = {name: f"{_MODELS}/{name}" for name in hub_models.on_host(named, self._settings.models)}
        return replace(declared_layout(lab), source=str(workspace), local_models=local)

    def workspace(self, handle: Handle) -> Workspace | None:  # noqa: ARG002 - a folder of this host, always
        return None

    def gpus(self) -> Inventory:
        from labctl.runtimes.docker.gpus import inventory

        return inventory(self._engine)

    def preflight(self, plan: Plan) -> list[Problem]:
        from labctl.runtimes.docker.preflight import problems

        is_running = any(seen.status == "running" for seen in self._session({"session": plan.session}).refresh())
        return list(problems(plan, self._engine, is_running=is_running))

    def changes(self, plan: Plan) -> list[str]:
        from labctl.runtimes.docker import changes

        return changes.changes(plan, self._session({"session": plan.session}))

    def up(self, plan: Plan, progress: Progress, *, expires_at: str | None = None) -> Started:
        from labctl.runtimes.docker import up

        folder = self._folder(plan.session)
        with disk_trouble(self._settings.home):
            folder.create_root()
            with folder.lock(lambda: progress(_waiting(plan.session))):
                return up.up(plan, self._engine, folder, progress, expires_at=expires_at)

    def state(self, handle: Handle, *, probe: bool = True) -> list[ServiceState]:
        return state.states(self._session(handle), probe=probe)

    def target(self, handle: Handle) -> Target:
        from labctl.runtimes.docker.target import DockerTarget

        return DockerTarget(self._known(handle), self._engine)

    def judge(self, handle: Handle, criteria: Sequence[Mapping[str, Any]], only: Sequence[str]) -> None:  # noqa: ARG002
        return None

    def logs(
        self, handle: Handle, service: str, *, follow: bool = False, since_s: float | None = None
    ) -> Iterator[str]:
        from labctl.runtimes.docker import logs

        session = self._session(handle)
        known = session.handle.get("services", {})
        if service not in known:
            raise _no_service(session.handle, service)
        return logs.lines(session, service, follow=follow, since_s=since_s)

    def exec(self, handle: Handle, command: Sequence[str], *, service: str | None = None) -> int:
        known = self._known(handle)
        session = self._session(known)
        container = self._running(session, service)
        inside = known["check"] or {"working_dir": "/", "environment": {}}
        urls = {name: value for name, value in inside["environment"].items() if name.startswith(URL)}
        mark = uuid.uuid4().hex
        env = {**({} if service else urls), _MARK: mark}
        words = cli.execute(container, command, cwd=inside["working_dir"], env=env)
        outside = cli.environment(self._engine.url)

        def end() -> None:
            subprocess.run(cli.end_marked(container, mark), env=outside, capture_output=True, check=False, timeout=30)

        if cli.has_terminal():
            return in_terminal(words, outside, "/")
        return without_terminal(words, outside, "/", end)

    def run(self, handle: Handle, command: Sequence[str], gpus: Sequence[HeldGpu]) -> int:
        from labctl.runtimes.docker import jobs

        return jobs.run(self._session(self._known(handle)), command, gpus)

    def end_jobs(self, handle: Handle) -> bool:
        from labctl.runtimes.docker import jobs

        return jobs.end_left(self._session(handle))

    def shell(self, handle: Handle, *, service: str | None = None) -> int:
        prefer_bash = "command -v bash >/dev/null && exec bash || exec sh"
        return self.exec(handle, ["sh", "-c", prefer_bash], service=service)

    def requests(self, handle: Handle) -> str:
        session = self._session(handle)
        session.refresh()
        asked, seen = session.asked(), session.container(INGRESS_NAME)
        return f"{seen.id[:12]} {seen.started_at} {asked[0]} {asked[1]}" if asked and any(asked) and seen else ""

    def withdraw_gpus(self, handle: Handle, progress: Progress) -> Handle:
        from labctl.runtimes.docker import up

        folder = self._folder(handle["session"])
        self._known(handle)
        with disk_trouble(self._settings.home), folder.lock(lambda: progress(_waiting(folder.session))):
            return up.withdraw(self._engine, folder, progress)

    def end_services(self, handle: Handle, names: Sequence[str], progress: Progress) -> None:
        from labctl.runtimes.docker import life

        session = self._session(self._known(handle))
        with disk_trouble(self._settings.home), session.folder.lock(lambda: progress(_waiting(session.id))):
            life.end(session, [seen for seen in session.refresh() if seen.role == "service" and seen.part in names])

    def secrets(self, handle: Handle) -> Mapping[str, str]:
        return secrets.read(self._folder(handle["session"]).root)

    def set_expiry(self, handle: Handle, expires_at: str | None) -> None:
        """Nothing: only labctl ends sessions here."""

    def down(self, handle: Handle, progress: Progress) -> None:
        from labctl.runtimes.docker import life

        folder = self._folder(handle["session"])
        with disk_trouble(self._settings.home):
            folder.create_root()
            with folder.lock(lambda: progress(_waiting(folder.session))):
                life.take_down(self._session(handle), progress)
                for file in (folder.handle, folder.plan, folder.healthy, folder.published):
                    file.unlink(missing_ok=True)
                secrets.forget(folder.root)
        progress(Step(name=folder.session, state="done"))

    def remains(self) -> list[Remain]:
        from labctl.runtimes.docker import remains

        return remains.of_home(self._engine, self._settings.home)

    def _folder(self, session: str) -> SessionFolder:
        return SessionFolder(self._settings.home, session)

    def _session(self, handle: Handle) -> Session:
        folder = self._folder(handle["session"])
        return Session(self._engine, folder, {"services": {}, **kept.complete(handle, folder)})

    def _known(self, handle: Handle) -> Mapping[str, Any]:
        folder = self._folder(handle["session"])
        known = kept.complete(handle, folder)
        if "services" not in known:
            raise NotFoundError(f"the session {folder.session} was never started", "`labctl up` starts it")
        return known

    def _running(self, session: Session, service: str | None) -> str:
        """The id of the container to work in: that of `service`, else the workspace's, else the first service's."""
        names = list(session.handle["services"])
        if service is not None and service not in names:
            raise _no_service(session.handle, service)
        session.refresh()
        name = service or (WORKSPACE if WORKSPACE in names else names[0])
        seen = session.container(name)
        if seen is None or seen.status != "running":
            lab = session.handle.get("lab", session.id)
            raise NotFoundError(f"{name} does not run", f"`labctl up {lab}` brings it back; `labctl status` says more")
        return seen.id


def _waiting(session: str) -> Step:
    return Step(name=session, state="progress", detail="waiting for another labctl that is at it")


def _no_service(known: Mapping[str, Any], service: str) -> NotFoundError:
    names = ", ".join(known.get("services", {})) or "none"
    return NotFoundError(f"the session {known['session']} has no service {service!r}", f"it has: {names}")
