"""Where pods may run and what they wait for: one node a session, GPUs by resource or claim, a queue. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from labctl.runtimes.docker.labels import SESSION
from labctl.runtimes.kubernetes.kinds import Manifest
from labctl.settings import Scheduling

if TYPE_CHECKING:
    from labctl.labs.spec import GpuNeed
    from labctl.runtimes.docker.parts import Part

ANYWHERE = Scheduling()
QUEUES, DRA = "kueue.x-k8s.io/v1beta2", "resource.k8s.io/v1"
QUEUE_NAME, LOCAL_QUEUE = "kueue.x-k8s.io/queue-name", "labctl"
CLAIM = "gpus"


def affinity(part: Part, need: GpuNeed | None, scheduling: Scheduling, marks: Mapping[str, str]) -> dict[str, Any]:
    """All on one node, since a volume is attached to one; a pod with a GPU where the GPU is large and new enough."""
    together = {"labelSelector": {"matchLabels": {SESSION: marks[SESSION]}}, "topologyKey": "kubernetes.io/hostname"}
    near = {"requiredDuringSchedulingIgnoredDuringExecution": [together]}
    wanted = _node_terms(need, scheduling) if part.gpus else []
    node = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": wanted}}
    return {"podAffinity": near, **({"nodeAffinity": node} if wanted else {})}


def claim_template(pod_name: str) -> str:
    """The name of what a part's GPUs are claimed by, with DRA."""
    return f"{pod_name}-gpus"


def claims(part: Part, scheduling: Scheduling) -> list[dict[str, Any]]:
    """What a pod claims by DRA; nothing where it asks for a resource, or for no GPU."""
    if not (part.gpus and scheduling.device_class):
        return []
    return [{"name": CLAIM, "resourceClaimTemplateName": claim_template(part.name)}]


def queue(scheduling: Scheduling) -> Iterator[Manifest]:
    """The session's door to Kueue's queue, where the cluster has one for labs."""
    if scheduling.queue:
        spec = {"clusterQueue": scheduling.queue}
        yield {"apiVersion": QUEUES, "kind": "LocalQueue", "metadata": {"name": LOCAL_QUEUE}, "spec": spec}


def queued(manifest: Manifest, scheduling: Scheduling) -> Manifest:
    """What has GPUs waits in the queue; the rest of the session does not."""
    if not scheduling.queue:
        return manifest
    metadata = manifest["metadata"]
    return {**manifest, "metadata": {**metadata, "labels": {**metadata["labels"], QUEUE_NAME: LOCAL_QUEUE}}}


def claim_templates(every: Sequence[Part], need: GpuNeed | None, scheduling: Scheduling) -> Iterator[Manifest]:
    """With DRA: what each part with GPUs claims of the device class, with the memory and capability that the lab needs."""
    for part in every:
        if part.gpus and scheduling.device_class:
            exactly = {
                "deviceClassName": scheduling.device_class,
                "allocationMode": "ExactCount",
                "count": len(part.gpus),
                **({"selectors": found} if (found := _device_selectors(need)) else {}),
            }
            devices = {"requests": [{"name": "gpu", "exactly": exactly}]}
            spec = {"spec": {"devices": devices}}
            name = claim_template(part.name)
            yield {"apiVersion": DRA, "kind": "ResourceClaimTemplate", "metadata": {"name": name}, "spec": spec}


def _node_terms(need: GpuNeed | None, scheduling: Scheduling) -> list[dict[str, Any]]:
    """Which nodes will do; a claim by DRA says itself which GPUs will."""
    if scheduling.device_class:
        return []
    product = scheduling.gpu_product
    own = [{"key": "nvidia.com/gpu.product", "operator": "In", "values": [product]}] if product else []
    terms = _gpu_terms(need) if need else []
    if not own:
        return terms
    return [{"matchExpressions": [*term["matchExpressions"], *own]} for term in terms or [{"matchExpressions": []}]]


def _gpu_terms(need: GpuNeed) -> list[dict[str, Any]]:
    """What NVIDIA's GPU feature discovery must say of the node; terms are alternatives."""
    memory = [_label("nvidia.com/gpu.memory", "Gt", need.memory - 1)] if need.memory else []
    capability = need.compute_capability
    if capability is None:
        return [{"matchExpressions": memory}] if memory else []
    major, minor = (int(number) for number in capability.lstrip(">=").split("."))
    family = "nvidia.com/gpu.compute"
    if capability.startswith(">="):
        same = [_label(f"{family}.major", "In", major), _label(f"{family}.minor", "Gt", minor - 1)]
        ways = [[_label(f"{family}.major", "Gt", major)], same]
    else:
        ways = [[_label(f"{family}.major", "In", major), _label(f"{family}.minor", "In", minor)]]
    return [{"matchExpressions": [*memory, *way]} for way in ways]


def _label(key: str, operator: str, value: int) -> dict[str, Any]:
    return {"key": key, "operator": operator, "values": [str(value)]}


def _device_selectors(need: GpuNeed | None) -> list[dict[str, Any]]:
    """NVIDIA's DRA driver tells memory as a capacity, and the compute capability as a version (k8s-dra-driver-gpu, device attributes)."""
    if need is None:
        return []
    found = []
    if need.memory:
        found.append(f"device.capacity['gpu.nvidia.com'].memory.compareTo(quantity('{need.memory}Mi')) >= 0")
    if need.compute_capability:
        wanted, sign = need.compute_capability.lstrip(">="), "==" if need.compute_capability.startswith("==") else ">="
        version = "device.attributes['gpu.nvidia.com'].cudaComputeCapability"
        found.append(f"{version}.compareTo(semver('{wanted}.0')) {sign} 0")
    return [{"cel": {"expression": each}} for each in found]
