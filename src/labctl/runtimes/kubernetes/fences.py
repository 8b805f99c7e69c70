"""What a session's namespace lets in, out and through: Pod Security, quota, limits, network policies. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from labctl.runtimes.kubernetes.kinds import Manifest

if TYPE_CHECKING:
    from labctl.runtimes.docker.parts import Part

PRIVATE = ("10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")
"""Where the cluster, its nodes and the metadata service of a cloud (169.254.169.254) are: a way out leads past them."""
GPU = "nvidia.com/gpu"
PORTAL = "labctl.portal"
"""The label of the namespace in which a portal runs: k8s/base sets it."""
SPARE_PODS = 4
"""For checks, and for a pod that is ending while its successor starts."""
JUDGE_MEMORY_MIB, JUDGE_CPUS = 512, 2.0
_INIT = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}}


def namespace(name: str, marks: Mapping[str, str], notes: Mapping[str, str]) -> Manifest:
    """The namespace, which refuses pods that Pod Security's strictest level refuses."""
    security = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    metadata = {"name": name, "labels": {**marks, **security}, **({"annotations": dict(notes)} if notes else {})}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def quota(parts: Sequence[Part], *, claims: int, storage_mib: int, gpus: int, gpu_resource: str = GPU) -> Manifest:
    """No more than the session's own pods, its judge, and a few of its checks."""
    memory = sum(part.memory_mib for part in parts) + 2 * max(part.memory_mib for part in parts) + JUDGE_MEMORY_MIB
    cpus = sum(part.cpus for part in parts) + 2 * max(part.cpus for part in parts) + JUDGE_CPUS
    hard = {
        "pods": str(2 * len(parts) + SPARE_PODS),
        "limits.memory": f"{memory}Mi",
        "limits.cpu": quantity(cpus),
        "persistentvolumeclaims": str(claims),
        "requests.storage": f"{storage_mib}Mi",
        f"requests.{gpu_resource}": str(gpus),
        "services.loadbalancers": "0",
        "services.nodeports": "0",
    }
    return _named("v1", "ResourceQuota", "session", {"hard": hard})


def limit_range() -> Manifest:
    """What a container gets that says nothing itself: no pod of the namespace is without a limit."""
    defaults = {"type": "Container", "default": _INIT["limits"], "defaultRequest": _INIT["requests"]}
    return _named("v1", "LimitRange", "containers", {"limits": [defaults]})


def policies(*, egress: bool, portal: bool = False) -> list[Manifest]:
    """Nothing in or out but among the session's pods and to the cluster's DNS; with `egress` also the public internet, with
    `portal` what a Hub in the cluster and JupyterLab have to say to each other.
    """
    found = [
        _policy("default-deny", policyTypes=["Ingress", "Egress"]),
        _policy(
            "within-session",
            policyTypes=["Ingress", "Egress"],
            ingress=[{"from": [{"podSelector": {}}]}],
            egress=[{"to": [{"podSelector": {}}]}],
        ),
        _policy("dns", policyTypes=["Egress"], egress=[_dns()]),
    ]
    if portal:
        found.append(_to_the_portal())
    if egress:
        public = {"ipBlock": {"cidr": "0.0.0.0/0", "except": list(PRIVATE)}}
        found.append(_policy("internet", policyTypes=["Egress"], egress=[{"to": [public]}]))
    return found


EVERYWHERE = ("PersistentVolume",)
"""Kinds that are in no namespace."""


def marked(manifest: Manifest, namespace: str, marks: Mapping[str, str]) -> Manifest:
    """The same in the namespace, bearing the session's labels beside its own."""
    metadata = manifest["metadata"]
    where = {} if manifest["kind"] in EVERYWHERE else {"namespace": namespace}
    return {
        **manifest,
        "metadata": {
            "name": metadata["name"],
            **where,
            **{key: value for key, value in metadata.items() if key not in ("name", "labels")},
            "labels": {**marks, **metadata.get("labels", {})},
        },
    }


def quantity(cpus: float) -> str:
    """CPU cores as Kubernetes writes them.

    >>> quantity(2.0), quantity(0.5)
    ('2', '500m')
    """
    return str(int(cpus)) if cpus == int(cpus) else f"{max(1, round(cpus * 1000))}m"


def _policy(name: str, **spec: Any) -> Manifest:
    return _named("networking.k8s.io/v1", "NetworkPolicy", name, {"podSelector": {}, **spec})


def _to_the_portal() -> Manifest:
    """Its proxy and its checks come in; JupyterLab asks the Hub who somebody is. Its namespace bears PORTAL."""
    namespace = {"namespaceSelector": {"matchLabels": {PORTAL: "true"}}}
    hub = {**namespace, "podSelector": {"matchLabels": {"app.kubernetes.io/name": "hub"}}}
    return _policy(
        "portal",
        policyTypes=["Ingress", "Egress"],
        ingress=[{"from": [namespace]}],
        egress=[{"to": [hub], "ports": [{"protocol": "TCP", "port": 8081}]}],
    )


def _dns() -> dict[str, Any]:
    to = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}
    return {"to": [to], "ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]}


def _named(version: str, kind: str, name: str, spec: Mapping[str, Any]) -> Manifest:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}
