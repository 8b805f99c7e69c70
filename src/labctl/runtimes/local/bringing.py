"""Bringing services up: in dependency order, independent ones at the same time, each until it is healthy."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labctl.disk import read_json, write_atomically
from labctl.errors import EngineError, UnhealthyError
from labctl.progress import Progress, Step
from labctl.runtimes.folder import SessionFolder
from labctl.runtimes.local.health import Probed, probe_all, probed
from labctl.runtimes.local.logs import last_lines
from labctl.runtimes.local.supervisor import Process, Supervisor
from labctl.runtimes.turns import Turns, words
from labctl.units import format_duration

if TYPE_CHECKING:
    from labctl.plan import Plan, ServicePlan

_WITHOUT_CHECK_S = 30.0
_JOB_S = 600.0
_POLL_S = 0.05
_SETTLED_S = 2.0  # a job counts as RUNNING from its first moment, and supervisord tells whole seconds


@dataclass(slots=True)
class _Service:
    """A service on its way. `phase`: waiting (for others), starting, ready, failed."""

    plan: ServicePlan
    probed: Probed
    is_job: bool
    phase: str = "waiting"
    why: str = ""
    deadline: float = 0.0
    next_probe: float = 0.0
    in_line: bool = False
    """It has been told that it waits for its turn on a GPU."""

    @property
    def timeout_s(self) -> float:
        check = self.plan.healthcheck
        return check.timeout if check else _JOB_S if self.is_job else _WITHOUT_CHECK_S


class Bringing:
    """One run of `up` over the services of a plan. `clean` ends what a service left behind before it starts again."""

    def __init__(
        self,
        plan: Plan,
        handle: Mapping[str, Any],
        supervisor: Supervisor,
        folder: SessionFolder,
        progress: Progress,
        clean: Callable[[str], None],
    ) -> None:
        self._supervisor = supervisor
        self._folder = folder
        self._progress = progress
        self._clean = clean
        self._turns = Turns(folder.home, plan)
        self._services = {
            service.name: _Service(
                plan=service, probed=probed(handle, service.name), is_job=service.is_awaited(plan.services)
            )
            for service in plan.services
        }
        self.started: list[str] = []
        """Services that this run started or started again."""

    def run(self) -> None:
        """Return when every service is ready. Raises UnhealthyError, after all that could be started has been."""
        try:
            self._take_stock()
            while any(service.phase in ("waiting", "starting") for service in self._services.values()):
                self._advance()
        finally:
            self._turns.end()
        failed = [service for service in self._services.values() if service.phase == "failed"]
        if failed:
            raise UnhealthyError("\n".join(self._sentence(service) for service in failed), self._hint(failed[0]))

    def _take_stock(self) -> None:
        """What runs and is healthy stays; what is on its way keeps the rest of its time; all else starts again."""
        processes = self._processes()
        running = [name for name in self._services if name in processes and processes[name].state == "RUNNING"]
        complaints = probe_all([self._services[name].probed for name in running])
        seen_healthy = read_json(self._folder.healthy)
        for name, service in self._services.items():
            process = processes.get(name)
            if process and self._is_ready(service, process, complaints.get(name)):
                service.phase = "ready"
                self._progress(Step(name=f"service {name}", state="unchanged"))
            elif process and self._may_still_come(service, process, seen_healthy.get(name)):
                service.phase, service.deadline = "starting", self._rest(service, process)
                self._turns.take(name)  # it runs already, turn or not
        alive = [name for name, process in processes.items() if process.is_alive and name in self._services]
        self._stop([name for name in alive if self._services[name].phase == "waiting"])
        self._remember_healthy(processes)

    def _is_ready(self, service: _Service, process: Process, complaint: str | None) -> bool:
        if service.is_job and process.state == "EXITED":
            return process.exit_code == 0
        if process.state != "RUNNING" or complaint != "" or self._must_complete(service):
            return False
        has_settled = time.time() - process.started_at >= _SETTLED_S
        return has_settled or not service.is_job or service.plan.healthcheck is not None

    def _must_complete(self, service: _Service) -> bool:
        others = (other.plan.depends_on.get(service.plan.name) for other in self._services.values())
        return any(need is not None and need.condition == "service_completed_successfully" for need in others)

    def _may_still_come(self, service: _Service, process: Process, healthy_pid: object) -> bool:
        on_its_way = process.state in ("STARTING", "RUNNING") and process.pid != healthy_pid
        return on_its_way and self._rest(service, process) > time.monotonic()

    def _rest(self, service: _Service, process: Process) -> float:
        return time.monotonic() + service.timeout_s - (time.time() - process.started_at)

    def _advance(self) -> None:
        for service in self._services.values():
            if service.phase == "waiting":
                self._start_when_possible(service)
        processes = self._processes()
        due = [service for service in self._services.values() if self._is_due(service, processes)]
        complaints = probe_all([service.probed for service in due])
        for service in self._services.values():
            if service.phase == "starting":
                self._judge(service, processes.get(service.plan.name), complaints.get(service.plan.name))
        self._remember_healthy(processes)
        if any(service.phase == "starting" or service.in_line for service in self._services.values()):
            time.sleep(_POLL_S)

    def _start_when_possible(self, service: _Service) -> None:
        needs = {name: self._services[name] for name in service.plan.depends_on if name in self._services}
        failed = [name for name, need in needs.items() if need.phase == "failed"]
        if failed:
            self._fail(service, f"was not started, because {failed[0]} is not ready")
        elif not all(need.phase == "ready" or self._has_started(service, name) for name, need in needs.items()):
            return
        elif uuid := self._turns.take(service.plan.name):
            if not service.in_line:
                self._progress(Step(name=f"service {service.plan.name}", state="progress", detail=words(uuid)))
            service.in_line = True
        else:
            service.in_line = False
            self._clean(service.plan.name)
            self._supervisor.start(service.plan.name)
            service.phase, service.deadline = "starting", time.monotonic() + service.timeout_s
            self.started.append(service.plan.name)
            self._progress(Step(name=f"service {service.plan.name}", state="started"))

    def _has_started(self, service: _Service, need: str) -> bool:
        started_is_enough = service.plan.depends_on[need].condition == "service_started"
        return started_is_enough and self._services[need].phase == "starting"

    def _is_due(self, service: _Service, processes: Mapping[str, Process]) -> bool:
        process = processes.get(service.plan.name)
        now = time.monotonic()
        if service.phase != "starting" or process is None or process.state != "RUNNING" or now < service.next_probe:
            return False
        check = service.plan.healthcheck
        service.next_probe = now + (check.interval if check else 0)
        return True

    def _judge(self, service: _Service, process: Process | None, complaint: str | None) -> None:
        service.why = complaint or service.why
        if process and self._is_ready(service, process, complaint):
            service.phase = "ready"
            self._turns.give_back(service.plan.name)
            self._progress(Step(name=f"service {service.plan.name}", state="done"))
        elif process is None or process.state in ("FATAL", "STOPPED", "UNKNOWN"):
            self._fail(service, f"does not stay up: {process.reason if process else 'supervisord forgot it'}")
        elif process.state == "EXITED" and (service.is_job or process.exit_code == 0):
            self._fail(service, f"ended with exit code {process.exit_code}")
        elif time.monotonic() > service.deadline:
            within = format_duration(service.timeout_s)
            self._fail(service, f"did not become healthy within {within}{service.why and ': ' + service.why}")

    def _fail(self, service: _Service, why: str) -> None:
        service.phase, service.why = "failed", why
        self._turns.give_back(service.plan.name)
        self._progress(Step(name=f"service {service.plan.name}", state="failed", detail=why))

    def _remember_healthy(self, processes: Mapping[str, Process]) -> None:
        ready = (name for name, service in self._services.items() if service.phase == "ready" and name in processes)
        pids = {name: processes[name].pid for name in ready}
        if pids != read_json(self._folder.healthy):
            write_atomically(self._folder.healthy, json.dumps(pids))

    def _stop(self, names: list[str]) -> None:
        if names:
            self._supervisor.stop(names, max(self._services[name].plan.stop_grace_period for name in names))

    def _processes(self) -> Mapping[str, Process]:
        processes = self._supervisor.processes()
        if processes is None:
            raise EngineError("the supervisor ended while services were starting", "run `labctl up` again")
        return processes

    def _sentence(self, service: _Service) -> str:
        lines = last_lines(self._folder.log(service.plan.name), 8)
        return "\n    ".join([f"service {service.plan.name} {service.why}", *lines])

    def _hint(self, service: _Service) -> str:
        lab = self._folder.session.partition("--")[0]
        return f"`labctl logs {lab} {service.plan.name}` shows all of its log; then `labctl up {lab}` again"
