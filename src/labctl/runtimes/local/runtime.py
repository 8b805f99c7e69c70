"""The local runtime: everything of a session as processes of this user, owned by one supervisord."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from labctl.errors import NotFoundError
from labctl.progress import Progress, Step
from labctl.runtimes import handles as kept
from labctl.runtimes import jobs, secrets
from labctl.runtimes.base import Handle, Problem, Remain, ServiceState, Started
from labctl.runtimes.cache import disk_trouble
from labctl.runtimes.exchange import LOOPBACK
from labctl.runtimes.folder import SessionFolder
from labctl.runtimes.gpus import borrowed, visible, without
from labctl.runtimes.local import environment, handles, life, logs, notebook, ports, shell, state
from labctl.runtimes.local.census import Census
from labctl.runtimes.local.life import JOB
from labctl.runtimes.local.supervisor import Supervisor
from labctl.runtimes.terminal import guarded, in_terminal

if TYPE_CHECKING:
    from labctl.gpus.inventory import HeldGpu, Inventory
    from labctl.labs.lab import Lab
    from labctl.plan import Layout, Plan
    from labctl.runtimes.workspace import Workspace
    from labctl.settings import Settings
    from labctl.target import Target

_FOR_TERMINALS = (
    *("COLORTERM", "EDITOR", "PAGER", "SHELL", "VISUAL"),
    *("LABCTL_LABS", "LABCTL_LEARNER", "LABCTL_WORKSPACES", "LABCTL_DATABASE_URL", "LABCTL_MODELS"),
)

_SIGNALLED = 128
"""An exit code above it tells of a signal."""


class LocalRuntime:
    """Implements `labctl.runtimes.base.Runtime`."""

    name = "local"
    trust: Literal["self", "host", "cluster"] = "self"
    schedules = False

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._home = settings.home
        self._census = Census(settings.home)

    def layout(self, lab: Lab, session: str, workspace: Path) -> Layout:
        from labctl.plan import Layout
        from labctl.runtimes import hub_models

        folder = self._folder(session)
        named = {name for profile in lab.spec.profiles.values() for name in profile.model_names}
        with disk_trouble(self._home):
            numbers = ports.keep(
                folder,
                [
                    *((name, port) for name, service in lab.spec.services.items() for port in service.ports),
                    notebook.PORT,
                ],
                life.port_holder(folder),
            )
        return Layout(
            workspace=str(workspace),
            source=str(workspace),
            lab=str(lab.path),
            models=str(self._home / "models"),
            ports=numbers,
            hosts=dict.fromkeys(lab.spec.services, LOOPBACK),
            local_models=hub_models.on_host(named, self._settings.models),
        )

    def workspace(self, handle: Handle) -> Workspace | None:  # noqa: ARG002 - a folder of this host, always
        return None

    def gpus(self) -> Inventory:
        from labctl.gpus.nvml import inventory

        return inventory(self._settings.nvml_library)

    def preflight(self, plan: Plan) -> list[Problem]:
        from labctl.runtimes.local.preflight import problems

        folder = self._folder(plan.session)
        found = Supervisor(folder).processes() or {}
        is_running = any(process.is_alive for process in found.values())
        return list(problems(notebook.added(plan, folder), self._home, is_running=is_running))

    def changes(self, plan: Plan) -> list[str]:
        from labctl.runtimes.local.changes import changes

        folder = self._folder(plan.session)
        return changes(notebook.added(plan, folder), folder, self._census)

    def up(self, plan: Plan, progress: Progress, *, expires_at: str | None = None) -> Started:
        from labctl.runtimes.local.up import up

        folder = self._folder(plan.session)
        with disk_trouble(self._home):
            folder.create()
            with folder.lock(lambda: progress(_waiting(plan.session))):
                return up(notebook.added(plan, folder), folder, progress, expires_at=expires_at)

    def state(self, handle: Handle, *, probe: bool = True) -> list[ServiceState]:
        folder = self._folder(handle["session"])
        return state.states(kept.complete(handle, folder), folder, self._census, probe=probe)

    def target(self, handle: Handle) -> Target:
        from labctl.runtimes.local.target import LocalTarget

        known = self._known(handle)
        return LocalTarget(known)

    def judge(self, handle: Handle, criteria: Sequence[Mapping[str, Any]], only: Sequence[str]) -> None:  # noqa: ARG002
        return None

    def logs(
        self, handle: Handle, service: str, *, follow: bool = False, since_s: float | None = None
    ) -> Iterator[str]:
        folder = self._folder(handle["session"])
        known = kept.complete(handle, folder)
        if service not in known.get("services", {file.stem for file in folder.logs.glob("*.log")}):
            raise _no_service(known, service)
        return logs.lines(folder.log(service), follow=follow, since_s=since_s, is_over=life.end_watch(folder, service))

    def exec(self, handle: Handle, command: Sequence[str], *, service: str | None = None) -> int:
        known = self._known(handle)
        if service is not None and service not in known["services"]:
            raise _no_service(known, service)
        own = known["services"][service] if service is not None else known
        return in_terminal(command, self._terminal_env(handle, own["environment"]), known["workspace"])

    def run(self, handle: Handle, command: Sequence[str], gpus: Sequence[HeldGpu]) -> int:
        known = self._known(handle)
        folder = self._folder(handle["session"])
        own = {**without(known["environment"]), **visible(borrowed(gpus)), **kept.own_environment(folder)}
        with disk_trouble(self._home), jobs.begin(folder) as (name, lock):
            env = self._terminal_env(handle, {**own, JOB: name})
            exit_code = in_terminal(guarded(command), env, known["workspace"], lock=lock)
            if exit_code > _SIGNALLED:  # perhaps it was its guard that was killed
                life.end_processes(folder, life.JOB_GRACE_S, **{JOB: name})
            return exit_code

    def end_jobs(self, handle: Handle) -> bool:
        return life.end_left_jobs(self._folder(handle["session"]))

    def shell(self, handle: Handle, *, service: str | None = None) -> int:
        known = self._known(handle)
        command = shell.command(self._folder(handle["session"]), known["environment"]["LABCTL_LAB"])
        return self.exec(handle, command, service=service)

    def requests(self, handle: Handle) -> str:
        from labctl.runtimes.local import connections

        folder = self._folder(handle["session"])
        return connections.marker(kept.complete(handle, folder), folder)

    def withdraw_gpus(self, handle: Handle, progress: Progress) -> Handle:
        from labctl.runtimes.local.up import withdraw

        folder = self._folder(handle["session"])
        self._known(handle)
        with disk_trouble(self._home), folder.lock(lambda: progress(_waiting(folder.session))):
            return withdraw(folder, progress)

    def end_services(self, handle: Handle, names: Sequence[str], progress: Progress) -> None:
        folder = self._folder(handle["session"])
        known = self._known(handle)
        with disk_trouble(self._home), folder.lock(lambda: progress(_waiting(folder.session))):
            life.end_services(names, handles.grace_s(known), folder)
            for name in names:
                logs.forget(folder.log(name))

    def secrets(self, handle: Handle) -> Mapping[str, str]:
        return secrets.read(self._folder(handle["session"]).root)

    def set_expiry(self, handle: Handle, expires_at: str | None) -> None:
        """Nothing: only labctl ends sessions here."""

    def down(self, handle: Handle, progress: Progress) -> None:
        folder = self._folder(handle["session"])
        if not folder.root.is_dir():
            life.end_processes(folder, life.GRACE_S)
            return
        with disk_trouble(self._home), folder.lock(lambda: progress(_waiting(folder.session))):
            life.take_down(kept.complete(handle, folder), folder, progress)
            secrets.forget(folder.root)

    def remains(self) -> list[Remain]:
        from labctl.runtimes.local import processes

        running = processes.sessions(self._home)
        folders = {
            file.parent.name
            for name in ("supervisord.conf", "ports.json")  # the ports alone: it was planned and never started
            for file in self._home.glob(f"sessions/*/{name}")
        }
        return [self._remain(session, running.get(session, [])) for session in sorted({*running, *folders})]

    def _terminal_env(self, handle: Handle, own: Mapping[str, str]) -> dict[str, str]:
        terminal = {name: os.environ[name] for name in _FOR_TERMINALS if name in os.environ}
        env = {**environment.of_host(), **terminal, **secrets.fill_all(own, self.secrets(handle))}
        return {**env, "PATH": f"{env['PATH']}:{shell.tools(self._folder(handle['session']))}"}

    def _remain(self, session: str, pids: Sequence[int]) -> Remain:
        known = kept.complete({"session": session}, self._folder(session))
        what = f"processes {', '.join(map(str, pids))}" if pids else f"folder {self._home / 'sessions' / session}"
        return Remain(session=session, what=what, expires_at=known.get("expires_at"))

    def _folder(self, session: str) -> SessionFolder:
        return SessionFolder(self._home, session)

    def _known(self, handle: Handle) -> Mapping[str, Any]:
        folder = self._folder(handle["session"])
        known = kept.complete(handle, folder)
        if "services" not in known:
            raise NotFoundError(f"the session {folder.session} was never started", "`labctl up` starts it")
        return known


def _waiting(session: str) -> Step:
    return Step(name=session, state="progress", detail="waiting for another labctl that is at it")


def _no_service(known: Mapping[str, Any], service: str) -> NotFoundError:
    names = ", ".join(known.get("services", {})) or "none"
    return NotFoundError(f"the session {known['session']} has no service {service!r}", f"it has: {names}")
