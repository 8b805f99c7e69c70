"""What nodes have left, and the GPUs that they tell of."""

from __future__ import annotations

from typing import Any

import pytest

from labctl.runtimes.kubernetes.capacity import capacity
from labctl.runtimes.kubernetes.gpus import of_node

MIB = 2**20


def node(
    name: str = "a", *, unschedulable: bool = False, images: tuple[str, ...] = (), **offers: str
) -> dict[str, Any]:
    status = {"allocatable": {"cpu": "4", "memory": "8Gi", **offers}, "images": [{"names": [each]} for each in images]}
    spec = {"unschedulable": True} if unschedulable else {}
    return {"metadata": {"name": name}, "spec": spec, "status": status}


def pod(on: str | None = "a", **requests: str) -> dict[str, Any]:
    where = {"nodeName": on} if on else {}
    return {"spec": {**where, "containers": [{"resources": {"requests": requests}}, {}]}}


def test_what_pods_have_asked_for_is_taken_away() -> None:
    found = capacity([node()], [pod(cpu="500m", memory="1Gi"), pod(cpu="1", memory="512Mi")])
    assert (found.cores, found.memory_mib) == (2.5, 8192 - 1536)


def test_nodes_are_added_up_and_one_that_takes_no_pods_is_left_out_with_its_pods() -> None:
    nodes = [node("a"), node("b"), node("c", unschedulable=True)]
    found = capacity(nodes, [pod("c", cpu="3"), pod("b", cpu="1"), pod(None, cpu="4")])
    assert (found.cores, found.memory_mib) == (7.0, 16384)


@pytest.mark.parametrize(("memory", "mib"), [("8054212Ki", 7865), ("1000000000", 953), ("2G", 1907)])
def test_memory_is_read_in_the_units_that_nodes_use(memory: str, mib: int) -> None:
    assert capacity([node(memory=memory)], []).memory_mib == mib


def test_a_node_that_is_promised_more_than_it_has_has_nothing_left() -> None:
    found = capacity([node(cpu="1")], [pod(cpu="3", memory="20Gi")])
    assert (found.cores, found.memory_mib) == (0.0, 0)


def test_a_cluster_without_nodes_has_nothing() -> None:
    assert capacity([], [pod()]).cores == 0.0


def test_images_are_those_of_nodes_that_take_pods() -> None:
    nodes = [node("a", images=("x:1",)), node("b", images=("y:1",)), node("c", unschedulable=True, images=("z:1",))]
    assert capacity(nodes, []).images == {"x:1", "y:1"}


FEATURES = {
    "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3",
    "nvidia.com/gpu.memory": "81559",
    "nvidia.com/gpu.compute.major": "9",
    "nvidia.com/gpu.compute.minor": "0",
}
"""As NVIDIA's GPU feature discovery writes them."""


def gpu_node(count: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": "g", "labels": labels}, "status": {"allocatable": {"nvidia.com/gpu": count}}}


def test_a_node_with_feature_discovery_tells_what_its_gpus_are() -> None:
    first, second = of_node(gpu_node("2", **FEATURES))
    assert (first.uuid, second.uuid) == ("g/0", "g/1")
    assert first.name == "NVIDIA-H100-80GB-HBM3"
    assert (first.memory_total_mib, first.compute_capability) == (81559, "9.0")
    assert first.processes is None  # unknown, not none


def test_with_the_device_plugin_alone_only_their_number_is_known() -> None:
    (gpu,) = of_node(gpu_node("1"))
    assert (gpu.name, gpu.memory_total_mib, gpu.compute_capability) == ("NVIDIA GPU", None, None)


@pytest.mark.parametrize("broken", [gpu_node("0", **FEATURES), {"metadata": {"name": "g"}}, node()])
def test_a_node_that_offers_none_has_none_whatever_its_labels(broken: dict[str, Any]) -> None:
    assert list(of_node(broken)) == []
