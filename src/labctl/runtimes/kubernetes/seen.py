"""A pod as the cluster tells of it, reduced to what matters to a session, and its state in words. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from labctl.runtimes.docker.labels import DIGEST, ROLE, SERVICE

_LOST = timedelta(seconds=30)
_SHOWN_CHARS = 300
_BAD_IMAGE = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError")
_BAD_CONFIG = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
_HOPELESS = ("InvalidImageName", "ErrImageNeverPull", *_BAD_CONFIG)
_REFUSALS = ("not found", "manifest unknown", "denied", "unauthorized", "no such host")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One pod. `part` is what of the session it is; times are UTC, None for what has not happened."""

    name: str
    uid: str
    part: str
    role: str
    digest: str
    phase: str
    ready: bool
    running: bool
    """Its main container runs."""
    created_at: datetime
    started_at: datetime | None = None
    exit_code: int | None = None
    """Of the main container's last end; None while it has none."""
    ended_because: str = ""
    """Kubernetes' word for that end: Error, OOMKilled, …"""
    said: str = ""
    """The last of its log, which Kubernetes keeps of one that failed."""
    restarts: int = 0
    waits: str = ""
    """Kubernetes' word for what the first container that waits waits for; empty when none does."""
    waits_because: str = ""
    waiting_container: str = ""
    unschedulable: str = ""
    evicted: str = ""
    phase_reason: str = ""
    """Kubernetes' word for why the pod as a whole is over: Evicted, DeadlineExceeded, …"""
    is_ending: bool = False
    gone_at: datetime | None = None
    """When one that is ending should be gone at the latest."""
    container: str = ""
    """What tells this start of the main container from others."""
    node: str = ""
    image: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether it was ended and none of its processes is left: the cluster only tidies up after it."""
        has_never_begun = self.phase == "Pending" and bool(self.unschedulable or self.waits in _BAD_IMAGE)
        return self.is_ending and not self.running and (self.is_over or self.exit_code is not None or has_never_begun)

    def is_lost(self, now: datetime) -> bool:
        """Whether it was to end and its node has not said so in time, as one that is gone never does."""
        return self.gone_at is not None and not self.has_ended and now > self.gone_at + _LOST

    @property
    def is_hopeless(self) -> bool:
        """Whether what it waits for will not come: the registry itself said no, its container cannot be made. A registry that
        cannot be reached may be soon.
        """
        said = self.waits_because.lower()
        is_refused = self.waits in _BAD_IMAGE and any(word in said for word in _REFUSALS)
        return is_refused or self.waits in _HOPELESS

    @property
    def is_over(self) -> bool:
        """Whether nothing of it will run again."""
        return self.phase in ("Succeeded", "Failed")


def seen(pod: Mapping[str, Any]) -> Seen:
    """What `pod` tells."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    marks, spec = metadata.get("labels") or {}, pod.get("spec") or {}
    main = _main(spec, status)
    state = main.get("state") or {}
    ended = state.get("terminated") or (main.get("lastState") or {}).get("terminated") or {}
    waiting = _waiting(status, state)
    return Seen(
        name=metadata["name"],
        uid=metadata["uid"],
        part=marks.get(SERVICE, ""),
        role=marks.get(ROLE, ""),
        digest=(metadata.get("annotations") or {}).get(DIGEST, ""),
        phase=status.get("phase") or "Pending",
        ready=_condition(status, "Ready").get("status") == "True",
        running="running" in state,
        created_at=time_of(metadata["creationTimestamp"]),
        started_at=time_of(state["running"]["startedAt"]) if "running" in state else None,
        exit_code=ended.get("exitCode"),
        ended_because=ended.get("reason") or "",
        said=(ended.get("message") or "").strip(),
        restarts=int(main.get("restartCount") or 0),
        waits=waiting.get("reason") or "",
        waits_because=waiting.get("message") or "",
        waiting_container=waiting.get("container") or "",
        unschedulable=_unschedulable(status),
        evicted=status.get("message") or status.get("reason") or "" if status.get("reason") else "",
        phase_reason=status.get("reason") or "",
        is_ending="deletionTimestamp" in metadata,
        gone_at=time_of(metadata["deletionTimestamp"]) if "deletionTimestamp" in metadata else None,
        container=main.get("containerID") or "",
        node=spec.get("nodeName") or "",
        image=next((each.get("image", "") for each in spec.get("containers") or []), ""),
    )


def liveliest(every: Iterable[Seen]) -> dict[str, Seen]:
    """For each part the pod that stands for it: the newest that is not ending."""
    found: dict[str, Seen] = {}
    for each in sorted(every, key=lambda one: (not one.is_ending, one.created_at, one.running)):
        found[each.part] = each
    return found


def answering(every: Iterable[Seen], part: str) -> Seen | None:
    """The pod of a part to ask: one that is ready, before one that is only newer."""
    own = (pod for pod in every if pod.part == part and pod.role in ("service", "workspace"))
    return max(own, key=lambda one: (not one.is_ending, one.ready, one.running, one.created_at), default=None)


def words_of_end(pod: Seen) -> str:
    """How its main container came to its end.

    >>> from datetime import UTC
    >>> base = dict(name="a", uid="", part="a", role="", digest="", phase="Failed", ready=False, running=False)
    >>> words_of_end(Seen(**base, created_at=datetime.now(UTC), exit_code=3))
    'ended with exit code 3'
    """
    if pod.ended_because == "OOMKilled":
        return "was killed: it wanted more memory than it may have"
    if pod.ended_because == "DeadlineExceeded" or pod.phase_reason == "DeadlineExceeded":
        return "was ended: it took longer than it may"
    if pod.evicted:
        return f"was taken off its node: {_short(pod.evicted)}"
    if pod.exit_code is None:
        return "ended"
    return f"ended with exit code {pod.exit_code}"


def words_of_loss(pod: Seen) -> str:
    """What is known of one that does not end."""
    return f"its pod does not end: node {pod.node or '(none)'} does not say that its processes are gone"


def words_of_waiting(pod: Seen) -> str:
    """What a pod that does not run waits for, and why; empty when nothing is known yet."""
    if pod.unschedulable:
        return f"no node takes its pod: {unschedulable(pod.unschedulable)}"
    if pod.waits in _BAD_IMAGE:
        return f"its image {pod.image} cannot be had: {_core(pod.waits_because or pod.waits)}"
    if pod.waits in _BAD_CONFIG:
        return f"its container cannot be made: {_short(pod.waits_because)}"
    if pod.waits == "CrashLoopBackOff":
        return f"it {words_of_end(pod)}, and is tried again"
    return ""


def unschedulable(message: str) -> str:
    """The scheduler's sentence with what it means to a learner.

    >>> unschedulable("0/1 nodes are available: 1 Insufficient nvidia.com/gpu.")
    '0/1 nodes are available: 1 Insufficient nvidia.com/gpu; no node has a free GPU'
    """
    text = _short(message).rstrip(". ")
    if "nvidia.com/gpu" in text:
        return f"{text}; no node has a free GPU"
    if "node affinity" in text or "node selector" in text:
        return f"{text}; no node has the GPU that the lab asks for (its memory, compute capability or product)"
    if "Insufficient memory" in text or "Insufficient cpu" in text:
        return f"{text}; the nodes are full"
    return text


def quota_words(message: str) -> str:
    """Which quota was exceeded, from the API's sentence; empty for another sentence.

    >>> quota_words("pods \\"a\\" is forbidden: exceeded quota: session, requested: pods=1, used: pods=4, limited: pods=4")
    'the quota `session` of its namespace is used up: requested: pods=1, used: pods=4, limited: pods=4'
    """
    found = re.search(r"exceeded quota: ([^,]+), (.*)", message)
    return f"the quota `{found[1]}` of its namespace is used up: {found[2]}" if found else ""


def event_words(events: Sequence[Mapping[str, Any]]) -> str:
    """The newest warning among `events`, in words; empty when there is none."""
    warnings = [event for event in events if event.get("type") == "Warning"]
    newest = max(warnings, key=_when, default=None)
    if newest is None:
        return ""
    message = str(newest.get("message") or newest.get("reason") or "")
    return quota_words(message) or _short(_probe(message))


def time_of(text: str) -> datetime:
    """A time as the API writes it."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _probe(message: str) -> str:
    """A probe that failed, as the other runtimes say it.

    >>> _probe("Readiness probe failed: HTTP probe failed with statuscode: 404")
    'the health check answered 404'
    """
    code = re.search(r"HTTP probe failed with statuscode: (\d+)", message)
    if code:
        return f"the health check answered {code[1]}"
    if "connection refused" in message:
        return "nothing accepts connections on its port"
    return message.replace("Readiness probe failed: ", "the health check failed: ")


def _when(event: Mapping[str, Any]) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or "")


def _main(spec: Mapping[str, Any], status: Mapping[str, Any]) -> Mapping[str, Any]:
    """The status of the first container, which is the part's own."""
    containers = spec.get("containers") or [{}]
    name = containers[0].get("name")
    found = (each for each in status.get("containerStatuses") or [] if each["name"] == name)
    return next(found, {})


def _waiting(status: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, str]:
    """What keeps an init container, or the main one, from running."""
    for each in status.get("initContainerStatuses") or []:
        waits = (each.get("state") or {}).get("waiting")
        if waits and waits.get("reason") not in (None, "PodInitializing"):
            return {**waits, "container": each["name"]}
    waits = state.get("waiting") or {}
    return {} if waits.get("reason") in (None, "ContainerCreating", "PodInitializing") else {**waits, "container": ""}


def _unschedulable(status: Mapping[str, Any]) -> str:
    scheduled = _condition(status, "PodScheduled")
    return str(scheduled.get("message") or "") if scheduled.get("reason") == "Unschedulable" else ""


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    return next((each for each in status.get("conditions") or [] if each["type"] == kind), {})


def _core(text: str) -> str:
    """The innermost of what programs have wrapped into each other.

    >>> _core("rpc error: code = Unknown desc = failed to pull: lookup registry: no such host")
    'lookup registry: no such host'
    """
    return " ".join(": ".join(text.rsplit(": ", 2)[-2:]).split())[-_SHOWN_CHARS:]


def _short(text: str) -> str:
    return " ".join(text.split())[:_SHOWN_CHARS]
