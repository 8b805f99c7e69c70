"""How a cluster is asked for GPUs: another resource, a device class, a product, a queue, a priority."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import kubernetes_validate
import pytest
import yaml

from labctl.cli.render import kubernetes_yaml
from labctl.errors import UsageError
from labctl.labs.lab import load
from labctl.settings import Scheduling, Settings
from labctl.settings import load as load_settings


def rendered(chosen: Settings, **scheduling: str) -> list[dict[str, Any]]:
    """The gpu profile of a lab whose service has a GPU and whose workspace has none; all valid for the API 1.37."""
    settings = replace(chosen, labs=(), scheduling=Scheduling(**scheduling))
    found = list(yaml.safe_load_all(kubernetes_yaml(load("stage1-inference-api", ()), "ada", "gpu", settings)))
    for each in found:
        if each["kind"] != "LocalQueue":  # Kueue's own
            kubernetes_validate.validate(each, "1.37", strict=True)
    return found


def deployment(found: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(each for each in found if each["kind"] == "Deployment" and each["metadata"]["name"] == name)


def pod(found: list[dict[str, Any]], name: str) -> dict[str, Any]:
    spec: dict[str, Any] = deployment(found, name)["spec"]["template"]["spec"]
    return spec


def test_a_mig_slice_is_asked_for_by_its_resource_and_the_quota_counts_it(chosen: Settings) -> None:
    found = rendered(chosen, gpu_resource="nvidia.com/mig-1g.10gb")
    assert pod(found, "api")["containers"][0]["resources"]["limits"]["nvidia.com/mig-1g.10gb"] == "1"
    quota = next(each for each in found if each["kind"] == "ResourceQuota")
    assert quota["spec"]["hard"]["requests.nvidia.com/mig-1g.10gb"] == "1"
    assert "nvidia.com/gpu" not in str(pod(found, "api")["containers"][0]["resources"])


def test_a_product_is_wanted_beside_the_memory_and_only_of_what_has_a_gpu(chosen: Settings) -> None:
    found = rendered(chosen, gpu_product="NVIDIA-H200")
    (term,) = pod(found, "api")["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    keys = {each["key"]: each["values"] for each in term["matchExpressions"]}
    assert keys["nvidia.com/gpu.product"] == ["NVIDIA-H200"]
    assert "nvidia.com/gpu.memory" in keys
    assert "nodeAffinity" not in pod(found, "workspace")["affinity"]


def test_a_device_class_is_claimed_in_the_place_of_a_resource(chosen: Settings) -> None:
    found = rendered(chosen, device_class="gpu.nvidia.com")
    api = pod(found, "api")
    assert api["resourceClaims"] == [{"name": "gpus", "resourceClaimTemplateName": "api-gpus"}]
    assert api["containers"][0]["resources"]["claims"] == [{"name": "gpus"}]
    assert "nvidia.com/gpu" not in api["containers"][0]["resources"]["limits"]
    (template,) = [each for each in found if each["kind"] == "ResourceClaimTemplate"]
    (request,) = template["spec"]["spec"]["devices"]["requests"]
    assert request["exactly"]["deviceClassName"] == "gpu.nvidia.com"
    assert "2048Mi" in request["exactly"]["selectors"][0]["cel"]["expression"]


def test_only_what_has_a_gpu_waits_in_the_queue(chosen: Settings) -> None:
    found = rendered(chosen, queue="labs")
    (queue,) = [each for each in found if each["kind"] == "LocalQueue"]
    assert queue["spec"] == {"clusterQueue": "labs"}
    label = "kueue.x-k8s.io/queue-name"
    assert deployment(found, "api")["metadata"]["labels"][label] == queue["metadata"]["name"]
    assert label not in deployment(found, "workspace")["metadata"]["labels"]


def test_every_pod_of_a_session_has_the_priority(chosen: Settings) -> None:
    found = rendered(chosen, priority_class="labctl-session")
    assert {pod(found, name)["priorityClassName"] for name in ("api", "workspace")} == {"labctl-session"}


def test_without_settings_nothing_of_it_is_there(chosen: Settings) -> None:
    text = str(rendered(chosen))
    assert all(word not in text for word in ("LocalQueue", "ResourceClaim", "priorityClassName", "gpu.product"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("LABCTL_GPU_RESOURCE", "gpu"), ("LABCTL_GPU_RESOURCE", "nvidia.com/"), ("LABCTL_KUEUE_QUEUE", "a b")],
)
def test_what_no_cluster_could_know_is_refused(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=name):
        load_settings({"HOME": "/nowhere", name: value})
