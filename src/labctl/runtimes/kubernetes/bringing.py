"""Bringing parts up: each is declared when what it depends on is ready, then watched until it is ready itself.

The cluster's watch says when something has happened; nothing is asked again and again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from labctl.errors import UnhealthyError
from labctl.progress import Progress, Step
from labctl.runtimes.kubernetes import kinds, unmade
from labctl.runtimes.kubernetes.kinds import Manifest
from labctl.runtimes.kubernetes.namespace import Namespace
from labctl.runtimes.kubernetes.seen import Seen, words_of_end, words_of_loss, words_of_waiting
from labctl.units import format_duration

WITHOUT_CHECK_S, JOB_S, BUILD_S = 30.0, 600.0, 3600.0
SCHEDULED_S = 20.0
"""So long a pod may find no node before `up` says so; it goes on waiting there, and the next `up` waits on."""
_IMAGE_S, _VOLUME_S = 600.0, 120.0
_MADE_S = 3.0
"""So long a Deployment may have no pod before we ask why."""
_SETTLED_S = 1.0
_CRASHES = 3
_LOG_LINES = 8
_LOOK_S = 1.0

State = Literal["waits", "begun", "ready", "failed"]


@dataclass(slots=True)
class Bringing:
    """One part on its way. Times are of the monotonic clock."""

    name: str
    label: str
    manifest: Manifest
    check: Mapping[str, Any] | None
    needs: Mapping[str, str]
    """Part → the condition it must meet."""
    is_job: bool
    must_complete: bool
    settles: bool
    timeout_s: float
    digest: str
    replicas: int = 1
    is_there: bool = False
    """It was declared like this before."""
    state: State = "waits"
    why: str = ""
    is_new: bool = False
    begun_at: float = 0.0
    running_since: tuple[str, float] = field(default=("", 0.0))
    asked_at: float = 0.0
    free_at: float = 0.0
    """When the pod of what was declared before was last there, ending."""
    tidied: str = ""
    """The id of the one that was removed because nothing ran in it any more."""
    complaint: str = ""


def bring_up(namespace: Namespace, every: Sequence[Bringing], progress: Progress) -> list[str]:
    """Declare and await all; the names of those that were begun. Raises UnhealthyError after all that could be was begun.

    EngineError: the namespace was deleted meanwhile.
    """
    by_name = {each.name: each for each in every}
    feed = namespace.cluster.feed
    with feed.followed():
        while left := [each for each in every if each.state in ("waits", "begun")]:
            version = feed.version
            namespace.see(feed.pods(namespace.name))
            before = [each.state for each in every]
            for each in left:
                _advance(namespace, each, by_name, progress)
            if before == [each.state for each in every]:
                feed.wait(version, _LOOK_S)
    failed = [each for each in every if each.state == "failed"]
    if failed:
        raise UnhealthyError("\n".join(_sentence(namespace, each) for each in failed), _hint(namespace, failed[0]))
    return [each.name for each in every if each.is_new]


def _advance(namespace: Namespace, each: Bringing, by_name: Mapping[str, Bringing], progress: Progress) -> None:
    if each.state == "waits":
        _begin(namespace, each, by_name, progress)
    if each.state != "begun":
        return
    pod = namespace.pod(each.name)
    if pod is not None and (pod.digest != each.digest or pod.is_ending):
        _make_room(namespace, each, pod)
        pod = None
    if pod is not None and _is_ready(each, pod) and _are_enough(namespace, each):
        each.state = "ready"
        progress(Step(name=each.label, state="done" if each.is_new else "unchanged"))
        return
    each.why = _trouble(namespace, each, pod)
    if each.why:
        each.state = "failed"
        progress(Step(name=each.label, state="failed", detail=each.why))


def _make_room(namespace: Namespace, each: Bringing, before: Seen) -> None:
    """Its successor is made when the pod of what was declared before is gone. From one without processes nothing is awaited:
    a node may take a minute to tidy up after it.
    """
    if not before.is_ending:
        return
    each.free_at = time.monotonic()
    if before.has_ended and each.tidied != before.uid:
        each.tidied = before.uid
        namespace.api.delete(kinds.path("Pod", namespace.name, before.name), grace_s=0)


def _begin(namespace: Namespace, each: Bringing, by_name: Mapping[str, Bringing], progress: Progress) -> None:
    needs = {name: (by_name[name], condition) for name, condition in each.needs.items() if name in by_name}
    failed = next((name for name, (need, _) in needs.items() if need.state == "failed"), "")
    if failed:
        each.why = f"was not started, because {failed} is not ready"
        each.state = "failed"
        progress(Step(name=each.label, state="failed", detail=each.why))
        return
    if not all(_is_met(need, condition) for need, condition in needs.values()):
        return
    if not each.is_there:
        progress(Step(name=each.label, state="started"))
        namespace.api.apply(each.manifest)
        each.is_new = True
    each.state, each.begun_at = "begun", time.monotonic()


def _is_met(need: Bringing, condition: str) -> bool:
    return need.state == "ready" or (
        condition == "service_started" and need.state == "begun" and need.running_since[0] != ""
    )


def _is_ready(each: Bringing, pod: Seen) -> bool:
    if pod.running and each.running_since[0] != pod.container:
        each.running_since = (pod.container, time.monotonic())
    if each.is_job and pod.phase == "Succeeded":
        return True
    if not pod.running or each.must_complete:
        return False
    if each.check is not None:
        return pod.ready
    return not each.settles or time.monotonic() - each.running_since[1] >= _SETTLED_S


def _are_enough(namespace: Namespace, each: Bringing) -> bool:
    return each.replicas == 1 or namespace.ready(each.name, each.digest) >= each.replicas


def _trouble(namespace: Namespace, each: Bringing, pod: Seen | None) -> str:
    """Why it will not become ready, or not in time; empty while it may."""
    waited = time.monotonic() - each.begun_at
    if pod is None:
        return _unmade(namespace, each, waited)
    if pod.phase == "Failed":
        return words_of_end(pod)
    if pod.restarts >= _CRASHES and not pod.running:
        return f"does not stay up: {words_of_end(pod)}"
    if not pod.running:
        said = words_of_waiting(pod)
        return f"does not start: {said}" if said and (pod.is_hopeless or waited > _patience_s(pod)) else ""
    ran = time.monotonic() - each.running_since[1]
    if ran <= each.timeout_s:
        return ""
    complaint = namespace.complaint(pod)
    return f"did not become healthy within {format_duration(each.timeout_s)}{complaint and ': ' + complaint}"


def _patience_s(pod: Seen) -> float:
    """How long a pod may wait for a node, a volume or an image before that is a trouble."""
    if "PersistentVolumeClaim" in pod.unschedulable:
        return _VOLUME_S
    return SCHEDULED_S if pod.unschedulable else _IMAGE_S


def _unmade(namespace: Namespace, each: Bringing, waited: float) -> str:
    """Why the cluster makes no pod of it, asked now and then. What ran before may first take its time to end."""
    if waited < _MADE_S or time.monotonic() - each.asked_at < _MADE_S:
        return ""
    each.asked_at = time.monotonic()
    before = namespace.pod(each.name)
    if before is not None and before.is_lost(datetime.now(UTC)):
        return f"cannot be replaced: {words_of_loss(before)}"
    return unmade.why(namespace, each.manifest, time.monotonic() - max(each.begun_at, each.free_at))


def _sentence(namespace: Namespace, each: Bringing) -> str:
    lines = namespace.last_lines(each.name, _LOG_LINES)
    return "\n    ".join([f"{each.label} {each.why}", *lines])


def _hint(namespace: Namespace, each: Bringing) -> str:
    lab = namespace.session.partition("--")[0]
    return f"`labctl logs {lab} {each.name}` shows all of its log; then `labctl up {lab}` again"
