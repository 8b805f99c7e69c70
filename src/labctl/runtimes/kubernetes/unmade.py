"""Why there is no pod of a part that was declared. Its Deployment or Job knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labctl.runtimes.docker.labels import DIGEST
from labctl.runtimes.kubernetes.kinds import Manifest
from labctl.runtimes.kubernetes.namespace import Namespace
from labctl.runtimes.kubernetes.seen import event_words

LONGEST_S = 60.0
"""So long a part may have no pod when nothing is said against it."""


def why(namespace: Namespace, manifest: Manifest, waited_s: float) -> str:
    """What keeps the cluster from making a pod, in words; empty when it may only need time. Raises EngineError when the
    namespace is gone.
    """
    name = manifest["metadata"]["name"]
    there = namespace.api.find(manifest["kind"], namespace.name, name)
    if there is None:
        namespace.require()
        return "was deleted by somebody while it started"
    if _digest(there) != _digest(manifest):
        return "was declared otherwise meanwhile: another labctl is at it"
    if said := refusal(there) or _of_job(namespace, there):
        return f"is not admitted: {said}"
    if there["spec"].get("replicas") == 0:
        return "was scaled to 0 by somebody while it started"
    if waited_s > LONGEST_S:
        return "has no pod, and the cluster does not say why: does its controller manager run?"
    return ""


def refusal(workload: Mapping[str, Any]) -> str:
    """Why the pods of a Deployment are refused: a quota, an admission webhook. Empty when they are not."""
    conditions = (workload.get("status") or {}).get("conditions") or []
    failures = [each for each in conditions if each["type"] == "ReplicaFailure" and each["status"] == "True"]
    return event_words([{"metadata": {}, **each, "type": "Warning"} for each in failures])


def _of_job(namespace: Namespace, job: Mapping[str, Any]) -> str:
    """A Job has no condition for it, only events; those of one that had its name before are not its own."""
    own = f"involvedObject.uid={job['metadata']['uid']},reason=FailedCreate"
    return event_words(namespace.api.items("Event", namespace.name, fieldSelector=own))


def _digest(manifest: Mapping[str, Any]) -> str:
    return str((manifest["metadata"].get("annotations") or {}).get(DIGEST, ""))
