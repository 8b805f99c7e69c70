"""What the cluster says of a session's parts, as states with a reason that tells what to do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from labctl.runtimes.base import ServiceState, State
from labctl.runtimes.kubernetes import forwards
from labctl.runtimes.kubernetes.namespace import Namespace
from labctl.runtimes.kubernetes.seen import Seen, words_of_end, words_of_loss, words_of_waiting


def states(namespace: Namespace, *, probe: bool) -> list[ServiceState]:
    """Each service as it is now, in the plan's order, then the workspace. `probe` asks why what is not ready is not."""
    services: Mapping[str, Mapping[str, Any]] = namespace.handle.get("services", {})
    if not services:
        return []
    namespace.glance()
    ways = forwards.ways(namespace.folder, namespace.name, services)
    return [_state(namespace, name, known, ways, probe=probe) for name, known in services.items()]


def words(namespace: Namespace, part: str) -> str:
    """In a sentence, whether the pod of a part runs."""
    state, reason = _judge(namespace, part, namespace.handle["services"][part], probe=False)
    return "its pod runs" if state is State.RUNNING else f"its pod does not run ({reason or state})"


def _state(
    namespace: Namespace,
    name: str,
    known: Mapping[str, Any],
    ways: Mapping[tuple[str, str], forwards.Way],
    *,
    probe: bool,
) -> ServiceState:
    state, reason = _judge(namespace, name, known, probe=probe)
    found = {port: ways[name, port] for port in known["ports"] if (name, port) in ways}
    first = next(iter(found.values()), None)
    return ServiceState(
        name=name,
        state=state,
        url=first.url if first else None,
        ports={port: way.port for port, way in found.items()},
        reason=reason,
    )


def _judge(namespace: Namespace, name: str, known: Mapping[str, Any], *, probe: bool) -> tuple[State, str]:
    state, reason = _newest(namespace, name, known, probe=probe)
    wanted = int(known.get("replicas", 1))
    ready = namespace.ready(name) if wanted > 1 else 1
    if wanted == 1 or ready >= wanted or state is State.STOPPED:
        return state, reason
    return (State.STARTING if state is State.RUNNING else state), f"{ready} of {wanted} ready{reason and ': ' + reason}"


def _newest(namespace: Namespace, name: str, known: Mapping[str, Any], *, probe: bool) -> tuple[State, str]:
    pod = namespace.pod(name)
    if name not in namespace.workloads:
        return State.STOPPED, "nothing of it is in the cluster" if namespace.workloads else namespace.loss()
    if pod is not None and pod.is_lost(datetime.now(UTC)):
        return State.FAILED, words_of_loss(pod)
    if pod is None or pod.is_ending:
        return _without_pod(namespace, name, known)
    if pod.phase == "Succeeded":
        return (State.EXITED, "") if known["is_job"] else (State.FAILED, "it ended with exit code 0")
    if pod.phase == "Failed":
        return State.FAILED, f"it {words_of_end(pod)}{_said(namespace, name)}"
    if not pod.running:
        return _not_running(namespace, name, pod)
    if pod.ready or known["healthcheck"] is None:
        return State.RUNNING, ""
    is_late = namespace.age_s(pod) > float(known["healthcheck"]["timeout"])
    reason = namespace.complaint(pod) if probe else ""
    return (State.UNHEALTHY if is_late else State.STARTING), reason or "its health check has not passed yet"


def _not_running(namespace: Namespace, name: str, pod: Seen) -> tuple[State, str]:
    waits = words_of_waiting(pod)
    if pod.waits == "CrashLoopBackOff":
        return State.FAILED, f"{waits}{_said(namespace, name)}"
    if pod.exit_code is not None:
        return State.FAILED, f"it {words_of_end(pod)}, and is tried again"
    return (State.FAILED if waits else State.STARTING), waits


def _without_pod(namespace: Namespace, name: str, known: Mapping[str, Any]) -> tuple[State, str]:
    status = namespace.workloads[name].get("status") or {}
    if status.get("succeeded") and known["is_job"]:
        return State.EXITED, ""
    if status.get("failed"):
        return State.FAILED, "its pod failed and is gone"
    return State.STARTING, "the cluster has not made its pod yet"


def _said(namespace: Namespace, name: str) -> str:
    said = next(iter(namespace.last_lines(name, 1)), "")
    return f"; it said: {said}" if said else ""
