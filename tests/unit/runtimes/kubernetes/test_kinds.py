"""Where the API has things, and what they are called."""

from __future__ import annotations

import pytest

from labctl.runtimes.kubernetes import kinds


@pytest.mark.parametrize(
    ("kind", "namespace", "name", "path"),
    [
        ("Namespace", None, "lab", "/api/v1/namespaces/lab"),
        ("PersistentVolume", None, "v", "/api/v1/persistentvolumes/v"),
        ("Secret", "lab", None, "/api/v1/namespaces/lab/secrets"),
        ("Deployment", "lab", "web", "/apis/apps/v1/namespaces/lab/deployments/web"),
        ("NetworkPolicy", "lab", None, "/apis/networking.k8s.io/v1/namespaces/lab/networkpolicies"),
        ("RoleBinding", "lab", "b", "/apis/rbac.authorization.k8s.io/v1/namespaces/lab/rolebindings/b"),
        ("StorageClass", None, None, "/apis/storage.k8s.io/v1/storageclasses"),
    ],
)
def test_a_path_is_the_one_that_kubectl_asks(kind: str, namespace: str | None, name: str | None, path: str) -> None:
    assert kinds.path(kind, namespace, name) == path


def test_a_manifest_s_own_version_is_where_it_goes() -> None:
    manifest = {"apiVersion": "batch/v1beta1", "kind": "Job", "metadata": {"name": "a", "namespace": "lab"}}
    assert kinds.path_of(manifest) == "/apis/batch/v1beta1/namespaces/lab/jobs/a"


def test_what_is_in_no_namespace_needs_none() -> None:
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "lab"}}
    assert kinds.path_of(manifest) == "/api/v1/namespaces/lab"
