"""The pod of one command of a check, or of one job: like the workspace's, and nothing else of the session is in it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from labctl.runtimes.docker.parts import Part
from labctl.runtimes.kubernetes import fences, labels
from labctl.runtimes.kubernetes import storage as storages
from labctl.runtimes.kubernetes.folders import Folder
from labctl.runtimes.kubernetes.kinds import Manifest
from labctl.runtimes.kubernetes.pods import MODELS_CLAIM, WORKSPACE_CLAIM, Pod, template
from labctl.runtimes.kubernetes.storage import Storage

_MODELS = "/models"
_WAITS = ("sleep", "infinity")


def pod(
    part: Part,
    name: str,
    *,
    namespace: str,
    marks: Mapping[str, str],
    storage: Storage,
    models: Sequence[str],
    workspace: str,
    files: Folder,
    longest_s: float,
) -> Manifest:
    """A pod that waits for the command, and that the cluster itself ends after `longest_s`."""
    built = [_claim(MODELS_CLAIM)] if models else []
    volumes = [_claim(WORKSPACE_CLAIM), files.volume(), *built, *storages.hub_volumes(storage)]
    mounts = [
        storages.workspace_mount(storage, workspace),
        {"name": files.name, "mountPath": "/lab", "readOnly": True},
        *([{"name": MODELS_CLAIM, "mountPath": _MODELS, "readOnly": True}] if models else []),
        *storages.hub_mounts(storage),
    ]
    waiting = replace(part, name=part.role, entrypoint=_WAITS[:1], command=_WAITS[1:])
    made = template(Pod(part=waiting, volumes=volumes, mounts=mounts, once=True, seeded=False), marks)
    spec: dict[str, Any] = {**made["spec"], "activeDeadlineSeconds": max(1, round(longest_s))}
    spec |= {
        "terminationGracePeriodSeconds": round(part.grace_s),
        "shareProcessNamespace": False,
    }  # its first process outlives ALONE
    own = {"name": name, "labels": {**made["metadata"]["labels"], labels.NAME: name}}
    return fences.marked({"apiVersion": "v1", "kind": "Pod", "metadata": own, "spec": spec}, namespace, marks)


def _claim(name: str) -> dict[str, Any]:
    return {"name": name, "persistentVolumeClaim": {"claimName": name}}
