"""A runtime without an engine: sessions are entries of a dictionary, commands really run in the workspace."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from labctl.errors import EngineError, NotFoundError, UnhealthyError
from labctl.gpus.inventory import HeldGpu, Inventory
from labctl.labs.lab import Lab
from labctl.names import SECRET
from labctl.plan import Layout, Plan, ServicePlan
from labctl.progress import Progress, Step
from labctl.runtimes import secrets
from labctl.runtimes.base import Handle, Problem, Remain, ServiceState, Started, State
from labctl.runtimes.gpus import borrowed, visible
from labctl.runtimes.terminal import guarded, in_terminal
from labctl.runtimes.workspace import Workspace
from labctl.target import Target
from labctl.testing.target import Answer, FakeTarget, answer

FIRST_PORT = 40_000


@dataclass(slots=True, kw_only=True)
class FakeRuntime:
    """The engine is `running`: session → service → (digest, state). A running service answers `GET /` with its environment.

    Faults are put in by hand: `sick` services never become healthy, `problems` make preflight refuse, an engine that is
    `gone` refuses everything, `kill` ends a service. `answers` are what services say to checks, `starts` counts how often
    each (session, service) was started, `requested`, by hand, how often a session was asked something, `ended_jobs` how
    often a session's jobs without a labctl were to be ended: here there are none.
    """

    inventory: Inventory = field(default_factory=lambda: Inventory(source="fake", problem="this engine has no GPU"))
    problems: list[Problem] = field(default_factory=list)
    sick: set[str] = field(default_factory=set)
    gone: bool = False
    answers: dict[tuple[str, str, str], Answer] = field(default_factory=dict)
    running: dict[str, dict[str, tuple[str, State]]] = field(default_factory=dict)
    starts: Counter[tuple[str, str]] = field(default_factory=Counter)
    expiries: dict[str, str | None] = field(default_factory=dict)
    requested: Counter[str] = field(default_factory=Counter)
    ended_jobs: Counter[str] = field(default_factory=Counter)
    plans: dict[str, Plan] = field(default_factory=dict)
    name: str = "local"
    trust: Literal["self", "host", "cluster"] = "self"
    schedules = False
    _ports: dict[tuple[str, str, str], int] = field(default_factory=dict)
    _next_port: Iterator[int] = field(default_factory=lambda: itertools.count(FIRST_PORT))
    _logs: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    _secrets: dict[str, dict[str, str]] = field(default_factory=dict)

    def layout(self, lab: Lab, session: str, workspace: Path) -> Layout:
        self._answering()
        names = [(name, port) for name, service in lab.spec.services.items() for port in service.ports]
        return Layout(
            workspace=str(workspace),
            lab=str(lab.path),
            models="/models",
            ports={name: self._port(session, *name) for name in names},
            hosts=dict.fromkeys(lab.spec.services, "127.0.0.1"),
            local_models={},
        )

    def workspace(self, handle: Handle) -> Workspace | None:
        return None

    def gpus(self) -> Inventory:
        self._answering()
        return self.inventory

    def preflight(self, plan: Plan) -> list[Problem]:
        self._answering()
        return list(self.problems)

    def changes(self, plan: Plan) -> list[str]:
        self._answering()
        return [
            *(f"start service {name}" for name in self._drifted(plan)),
            *(f"end service {name}" for name in self._left_over(plan)),
        ]

    def up(self, plan: Plan, progress: Progress, *, expires_at: str | None = None) -> Started:
        self._answering()
        plan = self._with_notebook(plan)
        left_over, drifted = self._left_over(plan), self._drifted(plan)
        services = self.running.setdefault(plan.session, {})
        self.expiries[plan.session], self.plans[plan.session] = expires_at, plan
        for name in left_over:
            del services[name]
        for service in plan.services:
            if service.name in drifted:
                self._start(plan, service, progress)
            progress(Step(name=service.name, state="done" if service.name in drifted else "unchanged"))
        return Started(handle=self._handle(plan), changed=(*left_over, *drifted))

    def state(self, handle: Handle, *, probe: bool = True) -> list[ServiceState]:
        self._answering()
        return [self._state(handle, name, service) for name, service in handle.get("services", {}).items()]

    def target(self, handle: Handle) -> Target:
        self._answering()
        known = _known(handle)
        running = self.running.get(handle["session"], {})
        alive = [name for name in known["services"] if running.get(name, ("", State.STOPPED))[1] is State.RUNNING]
        own: dict[tuple[str, str, str], Answer] = {
            (name, "GET", "/"): answer({"environment": known["services"][name]["environment"]}) for name in alive
        }
        return FakeTarget(
            folder=Path(known["workspace"]),
            answers={**own, **{key: said for key, said in self.answers.items() if key[0] in alive}},
            service_logs={name: "\n".join(self.logs(handle, name)) for name in known["services"]},
            learner_services=frozenset(
                name for name, service in known["services"].items() if service["owner"] == "learner"
            ),
            provided=(Path(known["lab_path"]),),
            environment=self._filled(handle, known),
        )

    def judge(self, handle: Handle, criteria: Sequence[Mapping[str, Any]], only: Sequence[str]) -> None:
        return None

    def logs(
        self, handle: Handle, service: str, *, follow: bool = False, since_s: float | None = None
    ) -> Iterator[str]:
        self._answering()
        if service not in handle.get("services", {}):
            raise NotFoundError(f"the session {handle['session']} has no service {service!r}")
        return iter(list(self._logs.get((handle["session"], service), [])))

    def exec(self, handle: Handle, command: Sequence[str], *, service: str | None = None) -> int:
        self._answering()
        known = _known(handle)
        if service is not None and service not in known["services"]:
            raise NotFoundError(f"the session {handle['session']} has no service {service!r}")
        own = known["services"][service] if service is not None else known
        return in_terminal(command, {**os.environ, **self._filled(handle, own)}, known["workspace"])

    def shell(self, handle: Handle, *, service: str | None = None) -> int:
        return self.exec(handle, ["sh"], service=service)

    def run(self, handle: Handle, command: Sequence[str], gpus: Sequence[HeldGpu]) -> int:
        self._answering()
        known = _known(handle)
        env = {**os.environ, **self._filled(handle, known), **visible(borrowed(gpus))}
        return in_terminal(guarded(command), env, known["workspace"])

    def end_jobs(self, handle: Handle) -> bool:
        self._answering()
        self.ended_jobs[handle["session"]] += 1
        return True

    def requests(self, handle: Handle) -> str:
        self._answering()
        return str(self.requested[handle["session"]] or "")

    def withdraw_gpus(self, handle: Handle, progress: Progress) -> Handle:
        self._answering()
        session = _known(handle)["session"]
        return self.up(self.plans[session].without_gpus(), progress, expires_at=self.expiries[session]).handle

    def end_services(self, handle: Handle, names: Sequence[str], progress: Progress) -> None:
        self._answering()
        session = _known(handle)["session"]
        for name in names:
            self.running.get(session, {}).pop(name, None)
            self._logs.pop((session, name), None)

    def secrets(self, handle: Handle) -> Mapping[str, str]:
        self._answering()
        return self._secrets.get(handle["session"], {})

    def set_expiry(self, handle: Handle, expires_at: str | None) -> None:
        self._answering()
        self.expiries[handle["session"]] = expires_at

    def down(self, handle: Handle, progress: Progress) -> None:
        self._answering()
        for kept in (self.running, self.plans, self.requested):
            kept.pop(handle["session"], None)
        self._secrets.pop(handle["session"], None)
        progress(Step(name=handle["session"], state="done"))

    def remains(self) -> list[Remain]:
        self._answering()
        return [
            Remain(session=name, what="a fake session", expires_at=self.expiries.get(name)) for name in self.running
        ]

    def kill(self, session: str, service: str) -> None:
        """End a service of a session as an accident would."""
        digest, _ = self.running[session][service]
        self.running[session][service] = (digest, State.FAILED)

    def _answering(self) -> None:
        if self.gone:
            raise EngineError("the fake engine is gone", "set `gone` to False")

    def _port(self, session: str, service: str, port: str) -> int:
        return self._ports.setdefault((session, service, port), next(self._next_port))

    def _with_notebook(self, plan: Plan) -> Plan:
        """A notebook is one more service, as on the local runtime."""
        if plan.notebook is None:
            return plan
        service = ServicePlan(
            name="workspace",
            image=None,
            env=None,
            command=["notebook"],
            environment=plan.notebook.environment,
            ports={"http": self._port(plan.session, "workspace", "http")},
            healthcheck=None,
            depends_on={},
            owner="lab",
            restart="no",
            stop_grace_period=1.0,
            digest=plan.notebook.mark,
        )
        return plan.model_copy(update={"services": [*plan.services, service]})

    def _start(self, plan: Plan, service: ServicePlan, progress: Progress) -> None:
        progress(Step(name=service.name, state="started"))
        is_sick = service.name in self.sick
        self.running[plan.session][service.name] = (service.digest, State.FAILED if is_sick else State.RUNNING)
        self.starts[plan.session, service.name] += 1
        self._logs.setdefault((plan.session, service.name), []).append(f"{service.name} runs")
        if is_sick:
            raise UnhealthyError(f"{service.name} did not become healthy", f"labctl logs {plan.lab} {service.name}")

    def _handle(self, plan: Plan) -> Handle:
        made = self._secrets.setdefault(plan.session, {})
        for name in SECRET.findall(plan.model_dump_json()):
            made.setdefault(name, f"secret-{len(made)}-of-{plan.session}")
        return {
            "session": plan.session,
            "workspace": plan.workspace.path,
            "lab_path": plan.lab_path,
            "environment": {
                "LABCTL_LAB": plan.lab,
                "LABCTL_SESSION": plan.session,
                **visible(plan.allocation),
                **plan.workspace.environment,
            },
            "services": {
                service.name: {
                    "ports": dict(service.ports),
                    "owner": service.owner,
                    "environment": {**visible(plan.allocation if service.gpu else None), **service.environment},
                }
                for service in plan.services
            },
        }

    def _filled(self, handle: Handle, part: Mapping[str, Any]) -> dict[str, str]:
        return secrets.fill_all(part["environment"], self._secrets.get(handle["session"], {}))

    def _state(self, handle: Handle, name: str, service: Mapping[str, Any]) -> ServiceState:
        state = self.running.get(handle["session"], {}).get(name, ("", State.STOPPED))[1]
        first = next(iter(service["ports"].values()), None)
        return ServiceState(
            name=name,
            state=state,
            url=f"http://127.0.0.1:{first}" if first else None,
            ports=service["ports"],
            reason="it was ended" if state is State.FAILED else "",
        )

    def _drifted(self, plan: Plan) -> list[str]:
        services = self.running.get(plan.session, {})
        wanted = {service.name: (service.digest, State.RUNNING) for service in plan.services}
        return [name for name, state in wanted.items() if services.get(name) != state]

    def _left_over(self, plan: Plan) -> list[str]:
        return [name for name in self.running.get(plan.session, {}) if plan.service(name) is None]


def _known(handle: Handle) -> Handle:
    if "services" not in handle:
        raise NotFoundError(f"the session {handle['session']} was never started", "`labctl up` starts it")
    return handle
