"""A runtime without an engine: sessions are entries of a dictionary, commands really run in the workspace."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from labctl.errors import NotFoundError, UnhealthyError
from labctl.gpus.inventory import Inventory
from labctl.labs.lab import Lab
from labctl.plan import Layout, Plan
from labctl.progress import Progress, Step
from labctl.runtimes.base import Handle, Problem, Remain, ServiceState, Started, State
from labctl.target import Target
from labctl.testing.target import Answer, FakeTarget

FIRST_PORT = 40_000


@dataclass(slots=True, kw_only=True)
class FakeRuntime:
    """The engine is `running`: session → service → (digest, state). Faults are put in by hand: `sick` services never become
    healthy, `problems` make preflight refuse, `answers` are what services say to checks."""

    inventory: Inventory = field(default_factory=lambda: Inventory(source="fake", problem="this engine has no GPU"))
    problems: list[Problem] = field(default_factory=list)
    sick: set[str] = field(default_factory=set)
    answers: dict[tuple[str, str, str], Answer] = field(default_factory=dict)
    running: dict[str, dict[str, tuple[str, State]]] = field(default_factory=dict)
    workspaces: dict[str, Path] = field(default_factory=dict)
    expiries: dict[str, str | None] = field(default_factory=dict)
    name: str = "local"
    trust: Literal["self", "host", "cluster"] = "self"

    def layout(self, lab: Lab, session: str, workspace: Path) -> Layout:
        ports = [(name, port) for name, service in lab.spec.services.items() for port in service.ports]
        self.workspaces[session] = workspace
        return Layout(
            workspace=str(workspace),
            lab=str(lab.path),
            models="/models",
            ports={key: FIRST_PORT + index for index, key in enumerate(ports)},
            hosts=dict.fromkeys(lab.spec.services, "127.0.0.1"),
            local_models={},
        )

    def gpus(self) -> Inventory:
        return self.inventory

    def preflight(self, plan: Plan) -> list[Problem]:
        return list(self.problems)

    def changes(self, plan: Plan) -> list[str]:
        return [f"start {name}" for name in self._drifted(plan)]

    def up(self, plan: Plan, progress: Progress, *, expires_at: str | None = None) -> Started:
        changed = self._drifted(plan)
        services = self.running.setdefault(plan.session, {})
        self.expiries[plan.session] = expires_at
        for gone in services.keys() - {service.name for service in plan.services}:
            del services[gone]
        for service in plan.services:
            progress(Step(name=service.name, state="started"))
            if service.name in self.sick:
                services[service.name] = (service.digest, State.FAILED)
                raise UnhealthyError(f"{service.name} did not become healthy", f"labctl logs {plan.lab} {service.name}")
            services[service.name] = (service.digest, State.RUNNING)
            progress(Step(name=service.name, state="done" if service.name in changed else "unchanged"))
        names = {service.name: dict(service.ports) for service in plan.services}
        return Started(handle={"session": plan.session, "services": names}, changed=tuple(changed))

    def state(self, handle: Handle, *, probe: bool = True) -> list[ServiceState]:
        services = self.running.get(handle["session"], {})
        return [
            ServiceState(
                name=name,
                state=services[name][1] if name in services else State.STOPPED,
                url=f"http://127.0.0.1:{next(iter(ports.values()))}" if ports else None,
                ports=ports,
            )
            for name, ports in handle.get("services", {}).items()
        ]

    def target(self, handle: Handle) -> Target:
        return FakeTarget(folder=self.workspaces[handle["session"]], answers=self.answers)

    def logs(
        self, handle: Handle, service: str, *, follow: bool = False, since_s: float | None = None
    ) -> Iterator[str]:
        if service not in handle.get("services", {}):
            raise NotFoundError(f"no service {service!r}")
        yield f"{service} runs"

    def exec(self, handle: Handle, command: Sequence[str], *, service: str | None = None) -> int:
        return subprocess.run(
            list(command), cwd=self.workspaces[handle["session"]], env=dict(os.environ), check=False
        ).returncode

    def shell(self, handle: Handle, *, service: str | None = None) -> int:
        return self.exec(handle, ["sh"], service=service)

    def down(self, handle: Handle, progress: Progress) -> None:
        self.running.pop(handle["session"], None)
        progress(Step(name=handle["session"], state="done"))

    def remains(self) -> list[Remain]:
        return [
            Remain(session=name, what="a fake session", expires_at=self.expiries.get(name)) for name in self.running
        ]

    def _drifted(self, plan: Plan) -> list[str]:
        services = self.running.get(plan.session, {})
        wanted = {service.name: (service.digest, State.RUNNING) for service in plan.services}
        return [name for name, state in wanted.items() if services.get(name) != state]
