"""Where a session's files are: claims of the cluster's storage, or a folder that this host and the nodes share. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labctl.runtimes.kubernetes.kinds import Manifest
from labctl.runtimes.kubernetes.pods import MODELS_CLAIM, WORKSPACE_CLAIM

if TYPE_CHECKING:
    from labctl.plan import Plan

FILES, COPIES = "files", "copies"
"""Folders of a claimed workspace: what the learner sees, and the dated copies beside it."""
HUB, HUB_CLAIM = "/hub", "hub-models"
"""Where pods see models that come from a hub, and by which claim."""
IMAGE, USER = "labctl.image", "labctl.user"
"""Annotations of a claimed workspace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """`folder` is the workspace on this host and on every node, None for a claim; `storage_class` None for the default.
    `hub` is the folder of every node with models of a hub, None when the session needs none of them.
    """

    folder: str | None = None
    storage_class: str | None = None
    hub: str | None = None


def claims(plan: Plan, storage: Storage, namespace: str, keeper: Mapping[str, str]) -> Iterator[Manifest]:
    """The claims of a session, and before it the volume of a workspace that is a folder. `keeper` is noted on the workspace's:
    by whom, and in which image, it can be worked on also when nothing of the session runs.
    """
    if storage.folder:
        yield _volume(plan, volume_name(namespace), storage.folder, namespace, WORKSPACE_CLAIM)
        yield _claim(plan, WORKSPACE_CLAIM, {"storageClassName": "", "volumeName": volume_name(namespace)})
    else:
        claim = _claim(plan, WORKSPACE_CLAIM, _class(storage))
        yield {**claim, "metadata": {**claim["metadata"], "annotations": dict(keeper)}}
    if plan.models:
        yield _claim(plan, MODELS_CLAIM, _class(storage))
    if storage.hub:
        name = volume_name(namespace, HUB_CLAIM)
        yield _volume(plan, name, storage.hub, namespace, HUB_CLAIM)
        yield _claim(plan, HUB_CLAIM, {"storageClassName": "", "volumeName": name})


def names(plan: Plan, storage: Storage) -> list[str]:
    """The names of a session's claims."""
    return [WORKSPACE_CLAIM, *([MODELS_CLAIM] if plan.models else []), *([HUB_CLAIM] if storage.hub else [])]


def volume_name(namespace: str, claim: str = WORKSPACE_CLAIM) -> str:
    """What the volume of a shared folder is called: the cluster's volumes are in no namespace."""
    return f"labctl-{namespace}{'' if claim == WORKSPACE_CLAIM else '-' + claim}"


def hub_volumes(storage: Storage) -> list[dict[str, Any]]:
    """The volume of a pod that shows the hub's models; none when there are none."""
    claim = {"claimName": HUB_CLAIM, "readOnly": True}
    return [{"name": HUB_CLAIM, "persistentVolumeClaim": claim}] if storage.hub else []


def hub_mounts(storage: Storage) -> list[dict[str, Any]]:
    """Where that is."""
    return [{"name": HUB_CLAIM, "mountPath": HUB, "readOnly": True}] if storage.hub else []


def workspace_mount(storage: Storage, path: str) -> dict[str, Any]:
    """How the workspace is mounted at `path`."""
    return {"name": WORKSPACE_CLAIM, "mountPath": path, **({} if storage.folder else {"subPath": FILES})}


def _class(storage: Storage) -> dict[str, Any]:
    return {"storageClassName": storage.storage_class} if storage.storage_class else {}


def _claim(plan: Plan, name: str, more: dict[str, Any]) -> Manifest:
    size = {"requests": {"storage": f"{plan.disk_mib}Mi"}}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": size, **more}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def _volume(plan: Plan, name: str, folder: str, namespace: str, claim: str) -> Manifest:
    spec = {
        "capacity": {"storage": f"{plan.disk_mib}Mi"},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": "",
        "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace, "name": claim},
        "hostPath": {"path": folder, "type": "Directory"},
    }
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}
