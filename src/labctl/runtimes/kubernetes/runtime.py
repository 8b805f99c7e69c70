"""The kubernetes runtime: a session as a namespace of the cluster that KUBECONFIG, or the pod's own account, names."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from labctl.errors import NotFoundError
from labctl.progress import Progress, Step
from labctl.runtimes import handles as kept
from labctl.runtimes import secrets
from labctl.runtimes.base import Handle, Problem, Remain, ServiceState, Started
from labctl.runtimes.cache import disk_trouble
from labctl.runtimes.docker.labels import home_id
from labctl.runtimes.docker.parts import URL, WORKSPACE
from labctl.runtimes.folder import SessionFolder
from labctl.runtimes.kubernetes import forwards, kubectl, state
from labctl.runtimes.kubernetes.namespace import Cluster, Namespace
from labctl.runtimes.kubernetes.streams import Place
from labctl.runtimes.terminal import in_terminal, without_terminal

if TYPE_CHECKING:
    from labctl.gpus.inventory import HeldGpu, Inventory
    from labctl.labs.lab import Lab
    from labctl.plan import Layout, Plan
    from labctl.runtimes.workspace import Workspace
    from labctl.settings import Settings
    from labctl.target import Target

_MARK = "LABCTL_EXEC"
"""By its value what `exec` has begun is found again in a container, should it be interrupted."""


class KubernetesRuntime:
    """Implements `labctl.runtimes.base.Runtime`."""

    name = "kubernetes"
    trust: Literal["self", "host", "cluster"] = "cluster"
    schedules = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def _cluster(self) -> Cluster:
        return Cluster(self._settings.home, self._settings.kubeconfig)

    def layout(self, lab: Lab, session: str, workspace: Path) -> Layout:  # noqa: ARG002 - the same for every session
        from labctl.planning import declared_layout
        from labctl.runtimes.kubernetes.judge import LAB_FOLDER
        from labctl.runtimes.kubernetes.storage import HUB

        named = {name for profile in lab.spec.profiles.values() for name in profile.model_names}
        at_hand = {name: f"{HUB}/{name}" for name in named if "/" in name} if self._settings.models else {}
        return replace(declared_layout(lab), source=str(workspace), folder=LAB_FOLDER, local_models=at_hand)

    def workspace(self, handle: Handle) -> Workspace | None:
        known = kept.complete(handle, self._folder(handle["session"]))
        is_here = known["storage"]["folder"] if "storage" in known else self._settings.workspace_volume == "host"
        if is_here:
            return None
        from labctl.runtimes.kubernetes import claimed

        return claimed.workspace(self._namespace(handle))

    def gpus(self) -> Inventory:
        from labctl.runtimes.kubernetes.gpus import inventory

        return inventory(self._cluster.api)

    def preflight(self, plan: Plan) -> list[Problem]:
        from labctl.runtimes.kubernetes.preflight import problems

        return list(problems(plan, self._cluster.api, self._settings))

    def changes(self, plan: Plan) -> list[str]:
        from labctl.runtimes.kubernetes import up
        from labctl.runtimes.kubernetes.wanted import wanted

        namespace = self._namespace({"session": plan.session})
        return up.changes(wanted(plan, self._settings, namespace.folder, None), namespace)

    def up(self, plan: Plan, progress: Progress, *, expires_at: str | None = None) -> Started:
        from labctl.runtimes.kubernetes import up
        from labctl.runtimes.kubernetes.wanted import wanted

        folder = self._folder(plan.session)
        with disk_trouble(self._settings.home):
            folder.create_root()
            with folder.lock(lambda: progress(_waiting(plan.session))):
                made = wanted(plan, self._settings, folder, expires_at)
                namespace = Namespace(self._cluster, folder, made.handle)
                try:
                    return up.up(made, namespace, progress, expires_at=expires_at)
                finally:
                    self._cluster.snapshots.changed()

    def state(self, handle: Handle, *, probe: bool = True) -> list[ServiceState]:
        return state.states(self._namespace(handle), probe=probe)

    def target(self, handle: Handle) -> Target:
        from labctl.runtimes.kubernetes.target import KubernetesTarget

        return KubernetesTarget(self._known(handle), self._cluster)

    def judge(
        self, handle: Handle, criteria: Sequence[Mapping[str, Any]], only: Sequence[str]
    ) -> Iterator[Mapping[str, Any]]:
        from labctl.runtimes.kubernetes import judge

        return judge.judge(self._namespace(self._known(handle)), criteria, only, self._settings)

    def logs(
        self, handle: Handle, service: str, *, follow: bool = False, since_s: float | None = None
    ) -> Iterator[str]:
        from labctl.runtimes.kubernetes import logs

        namespace = self._namespace(handle)
        if service not in namespace.handle.get("services", {}):
            raise _no_service(namespace.handle, service)
        return logs.lines(namespace, service, follow=follow, since_s=since_s)

    def exec(self, handle: Handle, command: Sequence[str], *, service: str | None = None) -> int:
        known = self._known(handle)
        place = self._running(self._namespace(known), service)
        inside = known["check"] or {"working_dir": "/", "environment": {}}
        urls = {name: value for name, value in inside["environment"].items() if name.startswith(URL)}
        mark = uuid.uuid4().hex
        env = {**({} if service else urls), _MARK: mark}
        words = kubectl.execute(place, command, cwd=inside["working_dir"], env=env)
        outside = kubectl.environment(self._settings.kubeconfig)

        def end() -> None:
            ending = kubectl.end_marked(place, mark)
            subprocess.run(ending, env=outside, capture_output=True, check=False, timeout=30)

        if kubectl.has_terminal():
            return in_terminal(words, outside, "/")
        return without_terminal(words, outside, "/", end)

    def run(self, handle: Handle, command: Sequence[str], gpus: Sequence[HeldGpu]) -> int:
        from labctl.runtimes.kubernetes import jobs

        return jobs.run(self._namespace(self._known(handle)), command, gpus)

    def end_jobs(self, handle: Handle) -> bool:
        from labctl.runtimes.kubernetes import jobs

        return jobs.end_left(self._namespace(handle))

    def shell(self, handle: Handle, *, service: str | None = None) -> int:
        prefer_bash = "command -v bash >/dev/null && exec bash || exec sh"
        return self.exec(handle, ["sh", "-c", prefer_bash], service=service)

    def requests(self, handle: Handle) -> str:
        return forwards.asked(self._folder(handle["session"]))

    def withdraw_gpus(self, handle: Handle, progress: Progress) -> Handle:
        from labctl.runtimes.kubernetes import up

        known = self._known(handle)
        namespace = self._namespace(known)
        with disk_trouble(self._settings.home), namespace.folder.lock(lambda: progress(_waiting(namespace.session))):
            lighter = up.withdraw(namespace, known, kept.plan(namespace.folder))
            self._cluster.snapshots.changed()
            return lighter

    def end_services(self, handle: Handle, names: Sequence[str], progress: Progress) -> None:
        from labctl.runtimes.kubernetes import up

        namespace = self._namespace(self._known(handle))
        with disk_trouble(self._settings.home), namespace.folder.lock(lambda: progress(_waiting(namespace.session))):
            up.end_services(namespace, names)
            self._cluster.snapshots.changed()

    def secrets(self, handle: Handle) -> Mapping[str, str]:
        return secrets.read(self._folder(handle["session"]).root)

    def set_expiry(self, handle: Handle, expires_at: str | None) -> None:
        from labctl.runtimes.kubernetes import up

        namespace = self._namespace(self._known(handle))
        with disk_trouble(self._settings.home), namespace.folder.lock(lambda: None):
            up.set_expiry(namespace, kept.plan(namespace.folder), expires_at)

    def down(self, handle: Handle, progress: Progress) -> None:
        from labctl.runtimes import jobs
        from labctl.runtimes.kubernetes import up

        folder = self._folder(handle["session"])
        with disk_trouble(self._settings.home):
            folder.create_root()
            with folder.lock(lambda: progress(_waiting(folder.session))):
                up.down(self._namespace(handle), progress)
                self._cluster.snapshots.changed()
                forwards.forget(folder)
                for file in (folder.handle, folder.plan):
                    file.unlink(missing_ok=True)
                secrets.forget(folder.root)
                jobs.forget(folder)
        progress(Step(name=folder.session, state="done"))

    def remains(self) -> list[Remain]:
        from labctl.runtimes.kubernetes import remains

        return remains.of_home(self._cluster.api, home_id(self._settings.home))

    def _folder(self, session: str) -> SessionFolder:
        return SessionFolder(self._settings.home, session)

    def _namespace(self, handle: Handle) -> Namespace:
        folder = self._folder(handle["session"])
        return Namespace(self._cluster, folder, {"services": {}, **kept.complete(handle, folder)})

    def _known(self, handle: Handle) -> Mapping[str, Any]:
        folder = self._folder(handle["session"])
        known = kept.complete(handle, folder)
        if "services" not in known:
            raise NotFoundError(f"the session {folder.session} was never started", "`labctl up` starts it")
        return known

    def _running(self, namespace: Namespace, service: str | None) -> Place:
        """The container to work in: that of `service`, else the workspace's, else the first service's."""
        names = list(namespace.handle["services"])
        if service is not None and service not in names:
            raise _no_service(namespace.handle, service)
        name = service or WORKSPACE
        pod = namespace.refresh().pod(name)
        if pod is None or not pod.running or pod.is_ending:
            lab = namespace.handle.get("lab", namespace.session)
            raise NotFoundError(f"{name} does not run", f"`labctl up {lab}` brings it back; `labctl status` says more")
        return Place(namespace=namespace.name, pod=pod.name, container=name)


def _waiting(session: str) -> Step:
    return Step(name=session, state="progress", detail="waiting for another labctl that is at it")


def _no_service(known: Mapping[str, Any], service: str) -> NotFoundError:
    names = ", ".join(known.get("services", {})) or "none"
    return NotFoundError(f"the session {known['session']} has no service {service!r}", f"it has: {names}")
