"""Kinds of Kubernetes objects: where the API has them, and in which order they are made. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Manifest = dict[str, Any]

_PLURALS = {
    "Namespace": "namespaces",
    "PersistentVolume": "persistentvolumes",
    "ResourceQuota": "resourcequotas",
    "LimitRange": "limitranges",
    "NetworkPolicy": "networkpolicies",
    "ServiceAccount": "serviceaccounts",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "ConfigMap": "configmaps",
    "Secret": "secrets",
    "Service": "services",
    "HTTPRoute": "httproutes",
    "Ingress": "ingresses",
    "ResourceClaimTemplate": "resourceclaimtemplates",
    "LocalQueue": "localqueues",
    "Deployment": "deployments",
    "Job": "jobs",
    "Pod": "pods",
    "Event": "events",
    "Node": "nodes",
    "StorageClass": "storageclasses",
    "PriorityClass": "priorityclasses",
    "SelfSubjectAccessReview": "selfsubjectaccessreviews",
}
_VERSIONS = {
    "NetworkPolicy": "networking.k8s.io/v1",
    "Ingress": "networking.k8s.io/v1",
    "Role": "rbac.authorization.k8s.io/v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
    "HTTPRoute": "gateway.networking.k8s.io/v1",
    "Deployment": "apps/v1",
    "Job": "batch/v1",
    "StorageClass": "storage.k8s.io/v1",
    "PriorityClass": "scheduling.k8s.io/v1",
    "SelfSubjectAccessReview": "authorization.k8s.io/v1",
}
_CLUSTER = "kube-controller-manager"
WORKLOADS = ("Deployment", "Job")
"""What runs, and is begun one by one as its turn comes."""
FENCES = ("ResourceQuota", "LimitRange", "NetworkPolicy", "ServiceAccount", "Role", "RoleBinding")
"""What must stand before anything runs."""


def path(kind: str, namespace: str | None = None, name: str | None = None, *, version: str | None = None) -> str:
    """The path of an object, of all objects of a kind in a namespace, or of all there are.

    >>> path("Pod", "lab", "web"), path("Job")
    ('/api/v1/namespaces/lab/pods/web', '/apis/batch/v1/jobs')
    """
    version = version or _VERSIONS.get(kind, "v1")
    root = f"/api/{version}" if "/" not in version else f"/apis/{version}"
    within = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{within}/{_PLURALS[kind]}{'/' + name if name else ''}"


def path_of(manifest: Mapping[str, Any]) -> str:
    """The path of this object."""
    metadata = manifest["metadata"]
    return path(manifest["kind"], metadata.get("namespace"), metadata["name"], version=manifest["apiVersion"])


def words(manifest: Mapping[str, Any]) -> str:
    """The object as kubectl names it.

    >>> words({"kind": "Deployment", "metadata": {"name": "web"}})
    'deployment/web'
    """
    return f"{manifest['kind'].lower()}/{manifest['metadata']['name']}"


def is_touched(live: Mapping[str, Any], manager: str) -> bool:
    """Whether the spec of a live object has something of somebody's who is neither `manager` nor the cluster.

    >>> is_touched({"metadata": {"managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}]}}, "labctl")
    True
    """
    entries = live["metadata"].get("managedFields") or []
    return any(each["manager"] not in (manager, _CLUSTER) and "f:spec" in each.get("fieldsV1", {}) for each in entries)


def replicas(workload: Mapping[str, Any]) -> int:
    """How many pods of it are wanted at a time."""
    return int(workload["spec"].get("replicas", 1))
