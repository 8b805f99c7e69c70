"""What the nodes of a cluster have left for sessions: what they offer, less what pods have asked for already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from labctl.runtimes.kubernetes.api import Api

_MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """Of all nodes that take pods together. `images` are names that nodes say they have; they do not say all."""

    cores: float
    memory_mib: int
    images: frozenset[str]


def of_cluster(api: Api) -> Capacity:
    """What is free now. Raises ApiError."""
    return capacity(api.items("Node"), api.items("Pod", fieldSelector="status.phase!=Succeeded,status.phase!=Failed"))


def capacity(nodes: Iterable[Mapping[str, Any]], pods: Iterable[Mapping[str, Any]]) -> Capacity:
    """What these nodes have left beside these pods. Pure.

    >>> node = {"metadata": {"name": "a"}, "status": {"allocatable": {"cpu": "2", "memory": "4Gi"}}}
    >>> capacity([node], [])
    Capacity(cores=2.0, memory_mib=4096, images=frozenset())
    """
    taking = {node["metadata"]["name"]: node for node in nodes if not (node.get("spec") or {}).get("unschedulable")}
    offered = [(node.get("status") or {}).get("allocatable") or {} for node in taking.values()]
    asked = [
        (container.get("resources") or {}).get("requests") or {}
        for pod in pods
        if (pod.get("spec") or {}).get("nodeName") in taking
        for container in pod["spec"]["containers"]
    ]
    images = {
        name
        for node in taking.values()
        for image in (node.get("status") or {}).get("images") or []
        for name in image.get("names") or []
    }
    return Capacity(
        cores=max(0.0, _sum(offered, "cpu") - _sum(asked, "cpu")),
        memory_mib=int(max(0.0, _sum(offered, "memory") - _sum(asked, "memory")) // _MIB),
        images=frozenset(images),
    )


def _sum(every: Iterable[Mapping[str, Any]], what: str) -> float:
    from kubernetes.utils.quantity import parse_quantity

    return float(sum(parse_quantity(each.get(what, "0")) for each in every))
