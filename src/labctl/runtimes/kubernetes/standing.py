"""What of a session stands while its parts come and go: the namespace, its fences, volumes, files and secrets."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from labctl.errors import EngineError
from labctl.progress import Progress, Step
from labctl.runtimes.kubernetes import kinds, labels
from labctl.runtimes.kubernetes.api import Api
from labctl.runtimes.kubernetes.kinds import Manifest
from labctl.runtimes.kubernetes.namespace import Namespace
from labctl.runtimes.kubernetes.refusals import ApiError

_AT_ONCE = 8
_TERMINATING_S, _ENDING_S = 60.0, 240.0
"""So long a namespace that is being deleted is waited for: without pods, and with pods that end."""
_NOTED_S, _POLL_S = 3.0, 0.02
_NO_RESIZE = (403, 422)
_BEFORE_ALL = ("ResourceQuota", "LimitRange", "PersistentVolume")
"""What pods and claims are measured against, or bound to, must be there before them."""


def stand_in(namespace: Namespace, manifest: Manifest, progress: Progress) -> None:
    """Have the namespace there; one that is being deleted is waited for. Raises EngineError when it does not go."""
    begun = with_pods = time.monotonic()
    while (there := namespace.api.apply(manifest)["metadata"]).get("deletionTimestamp"):
        with_pods = time.monotonic() if namespace.api.items("Pod", namespace.name) else with_pods
        if time.monotonic() > min(with_pods + _TERMINATING_S, begun + _ENDING_S):
            raise hanging(namespace.api.find("Namespace", None, namespace.name) or {})
        progress(Step(name=namespace.name, state="progress", detail="waiting until what was deleted of it is gone"))
        time.sleep(1.0)
    if labels.ENDED in (there.get("labels") or {}):
        where = kinds.path("Namespace", None, namespace.name)
        namespace.api.merge(where, {"metadata": {"labels": {labels.ENDED: None}}})


def stand(namespace: Namespace, every: Sequence[Manifest]) -> None:
    """Have everything there that what runs needs: first what measures, then the rest at the same time."""
    first = [each for each in every if each["kind"] in _BEFORE_ALL]
    volumes = [each["metadata"]["name"] for each in every if each["kind"] == "PersistentVolume"]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(partial(_free, namespace.api), volumes))
        list(pool.map(namespace.api.apply, first))
        list(pool.map(partial(_await_volume, namespace.api), volumes))
        list(pool.map(partial(_apply, namespace.api), [each for each in every if each not in first]))


def hanging(namespace: Mapping[str, Any]) -> EngineError:
    """Why a namespace does not end, in the cluster's own words."""
    conditions = (namespace.get("status") or {}).get("conditions") or []
    said = "; ".join(each["message"] for each in conditions if each.get("status") == "True" and each.get("message"))
    name = (namespace.get("metadata") or {}).get("name", "")
    return EngineError(
        f"the namespace {name} is being deleted and does not go: {said or 'the cluster does not say why'}",
        f"`kubectl get namespace {name} -o yaml` shows its finalizers; when it is gone: the same command again",
    )


def _free(api: Api, volume: str) -> None:
    """A volume whose claim was deleted with its namespace serves no other: it is made anew. It only names a folder."""
    where = kinds.path("PersistentVolume", None, volume)
    deadline = time.monotonic() + _TERMINATING_S
    while (found := api.find("PersistentVolume", None, volume)) and found["status"].get("phase") in (
        "Released",
        "Failed",
    ):
        if time.monotonic() > deadline:
            raise EngineError(
                f"the volume {volume} does not go", f"`kubectl get pv {volume} -o yaml` shows its finalizers"
            )
        api.delete(where)
        time.sleep(_POLL_S)


def _apply(api: Api, manifest: Manifest) -> None:
    """A claim that cannot have another size keeps the one that it has: the learner's files are in it."""
    try:
        api.apply(manifest)
    except ApiError as error:
        if manifest["kind"] != "PersistentVolumeClaim" or error.status not in _NO_RESIZE:
            raise
        there = api.find("PersistentVolumeClaim", manifest["metadata"]["namespace"], manifest["metadata"]["name"])
        if there is None:
            raise
        kept = {**manifest["spec"], "resources": {"requests": dict(there["spec"]["resources"]["requests"])}}
        api.apply({**manifest, "spec": kept})


def _await_volume(api: Api, name: str) -> None:
    """Until the cluster has taken note of a volume: a claim that comes before is looked at again only after 15 s."""
    deadline = time.monotonic() + _NOTED_S
    while time.monotonic() < deadline:
        volume = api.find("PersistentVolume", None, name) or {}
        if (volume.get("status") or {}).get("phase") in ("Available", "Bound"):
            return
        time.sleep(_POLL_S)
