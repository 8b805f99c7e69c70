"""The GPUs of a cluster, as its nodes tell of them: NVIDIA's device plugin says how many, GPU feature discovery which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from labctl.gpus.inventory import Gpu, Inventory
from labctl.runtimes.kubernetes.api import Api
from labctl.runtimes.kubernetes.fences import GPU

_NONE = (
    "no node of the cluster offers nvidia.com/gpu: install NVIDIA's GPU operator, or its device plugin, "
    "https://docs.nvidia.com/datacenter/cloud-native/gpu-operator/latest/getting-started.html"
)


def inventory(api: Api) -> Inventory:
    """One entry a GPU that a node offers. They have no UUIDs here: the cluster hands them out. Raises ApiError."""
    found = [gpu for node in api.items("Node") for gpu in of_node(node)]
    numbered = tuple(_numbered(gpu, index) for index, gpu in enumerate(found))
    return Inventory(source="Kubernetes", gpus=numbered, problem=None if numbered else _NONE)


def of_node(node: Mapping[str, Any]) -> Iterator[Gpu]:
    """The GPUs of one node. Pure."""
    name, marks = node["metadata"]["name"], node["metadata"].get("labels") or {}
    count = int((node.get("status") or {}).get("allocatable", {}).get(GPU) or 0)
    memory = marks.get("nvidia.com/gpu.memory", "")
    major, minor = (marks.get(f"nvidia.com/gpu.compute.{part}", "") for part in ("major", "minor"))
    for number in range(count):
        yield Gpu(
            index=number,
            uuid=f"{name}/{number}",
            name=marks.get("nvidia.com/gpu.product", "NVIDIA GPU"),
            memory_total_mib=int(memory) if memory.isdigit() else None,
            memory_free_mib=int(memory) if memory.isdigit() else None,
            compute_capability=f"{major}.{minor}" if major and minor else None,
            processes=None,
        )


def _numbered(gpu: Gpu, index: int) -> Gpu:
    from dataclasses import replace

    return replace(gpu, index=index)
