"""What supervisord and the probes say, as the state of a service with a reason that tells what to do."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from labctl.disk import read_json
from labctl.runtimes.base import ServiceState, State
from labctl.runtimes.exchange import LOOPBACK
from labctl.runtimes.folder import SessionFolder
from labctl.runtimes.local.census import Census
from labctl.runtimes.local.health import probe_all, probed
from labctl.runtimes.local.logs import last_lines
from labctl.runtimes.local.supervisor import Process, Supervisor
from labctl.units import format_duration


def states(handle: Mapping[str, Any], folder: SessionFolder, census: Census, *, probe: bool) -> list[ServiceState]:
    """Each service of the session as it is now, in the plan's order. `census` is asked when its supervisor is gone."""
    services: Mapping[str, Mapping[str, Any]] = handle.get("services", {})
    found = Supervisor(folder).processes()
    if found is None:
        state, reason = _without_supervisor(handle, folder, census)
        return [_service(name, service, state, reason) for name, service in services.items()]
    running = [name for name in services if probe and name in found and found[name].state == "RUNNING"]
    complaints = probe_all([probed(handle, name) for name in running])
    healthy = read_json(folder.healthy)
    result = []
    for name, service in services.items():
        state, reason = judge(found.get(name), complaints.get(name, ""), _log_line(folder, name))
        if state is State.EXITED and not service["is_job"]:
            state, reason = State.FAILED, "it ended by itself, with exit code 0"
        if state is State.UNHEALTHY and _may_still_come(service, found[name], healthy.get(name)):
            state = State.STARTING
        result.append(_service(name, service, state, reason))
    return result


def judge(process: Process | None, complaint: str, log_line: str) -> tuple[State, str]:
    """The state of one service and why; `complaint` is what its health check has to say."""
    if process is None:
        return State.STOPPED, "it was not started"
    said = f"; it said: {log_line}" if log_line else ""
    if process.state == "RUNNING":
        return (State.UNHEALTHY, complaint) if complaint else (State.RUNNING, "")
    if process.state == "STARTING":
        return State.STARTING, ""
    if process.state == "EXITED" and process.exit_code == 0:
        return State.EXITED, ""
    if process.state == "EXITED":
        return State.FAILED, f"it ended with exit code {process.exit_code}{said}"
    if process.state in ("BACKOFF", "FATAL", "UNKNOWN"):
        again = "it is tried again" if process.state == "BACKOFF" else "it was given up"
        return State.FAILED, f"it does not stay up, {again}{said}"
    return State.STOPPED, ""


def now(handle: Mapping[str, Any], folder: SessionFolder, service: str) -> str:
    """In a sentence, whether the process of a service runs, with its last words when it does not."""
    found = Supervisor(folder).processes()
    if found is None:
        return _without_supervisor(handle, folder, Census(folder.home))[1] or "the session is not running"
    process = found.get(service)
    if process is not None and process.state == "RUNNING":
        return f"its process {process.pid} has been running for {format_duration(time.time() - process.started_at)}"
    state, reason = judge(process, "", "")
    return f"its process does not run ({state}{reason and ': ' + reason})"


def _without_supervisor(handle: Mapping[str, Any], folder: SessionFolder, census: Census) -> tuple[State, str]:
    if not folder.conf.exists():
        return State.STOPPED, ""
    orphans = census.of(folder.session)
    still = f"; without it still run the processes {', '.join(map(str, orphans[:5]))}" if orphans else ""
    lab = handle.get("lab", folder.session)
    return State.FAILED, f"the supervisor is not running; `labctl up {lab}` brings it back{still}"


def _may_still_come(service: Mapping[str, Any], process: Process, healthy_pid: object) -> bool:
    check = service["healthcheck"]
    return process.pid != healthy_pid and time.time() - process.started_at < check["timeout"]


def _service(name: str, service: Mapping[str, Any], state: State, reason: str) -> ServiceState:
    ports: Mapping[str, int] = service["ports"]
    first = next(iter(ports.values()), None)
    url = f"http://{LOOPBACK}:{first}" if first else None
    return ServiceState(name=name, state=state, url=url, ports=dict(ports), reason=reason)


def _log_line(folder: SessionFolder, name: str) -> str:
    return next(iter(last_lines(folder.log(name), 1)), "")
