"""Rules that Pod Security and scanners ask for, each exception with its reason."""

from __future__ import annotations

from typing import Any

import pytest

from labctl.runtimes.kubernetes import fences
from tests.unit.hosting.tree import Manifest, name, plain, pod, workloads

EVERY = workloads(plain())
CONTAINERS = [(each, container) for each in EVERY for container in pod(each)["containers"]]
WITH_TOKEN = {
    "Deployment/hub": "it makes a namespace for each session",
    "Deployment/reaper": "it asks the cluster which sessions there are, and ends them",
}
WITHOUT_PROBES = {"DaemonSet/prepull": "its containers sleep; that they are there is all that is wanted of them"}


def ids(found: tuple[Manifest, Manifest]) -> str:
    return f"{name(found[0])}:{found[1]['name']}"


@pytest.mark.parametrize("workload", EVERY, ids=name)
def test_pods_are_nobody_s_root_and_share_nothing_with_their_node(workload: Manifest) -> None:
    spec = pod(workload)
    security = spec["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] > 0
    assert security["runAsGroup"] > 0
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not [key for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    assert not [volume for volume in spec.get("volumes", []) if "hostPath" in volume]


@pytest.mark.parametrize("workload", EVERY, ids=name)
def test_only_who_speaks_to_the_cluster_has_a_token(workload: Manifest) -> None:
    spec = pod(workload)
    assert spec["automountServiceAccountToken"] is (name(workload) in WITH_TOKEN)
    assert (spec["serviceAccountName"] == "without-rights") is (name(workload) not in WITH_TOKEN)
    assert spec["enableServiceLinks"] is False


@pytest.mark.parametrize("found", CONTAINERS, ids=ids)
def test_containers_can_neither_gain_rights_nor_write_their_root(found: tuple[Manifest, Manifest]) -> None:
    security = found[1]["securityContext"]
    assert security["allowPrivilegeEscalation"] is False
    assert security["readOnlyRootFilesystem"] is True
    assert security["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("found", CONTAINERS, ids=ids)
def test_containers_are_bounded(found: tuple[Manifest, Manifest]) -> None:
    resources = found[1]["resources"]
    for kind in ("requests", "limits"):
        assert set(resources[kind]) == {"cpu", "memory"}


@pytest.mark.parametrize("found", CONTAINERS, ids=ids)
def test_containers_are_asked_how_they_are(found: tuple[Manifest, Manifest]) -> None:
    workload, container = found
    if name(workload) in WITHOUT_PROBES:
        return
    assert {"readinessProbe", "livenessProbe"} <= set(container)
    if "httpGet" in container["livenessProbe"]:
        assert "startupProbe" in container  # a slow start is no reason to start again


@pytest.mark.parametrize("workload", EVERY, ids=name)
def test_scratch_space_is_bounded(workload: Manifest) -> None:
    for volume in pod(workload).get("volumes", []):
        assert "emptyDir" not in volume or "sizeLimit" in volume["emptyDir"]


@pytest.mark.parametrize("found", CONTAINERS, ids=ids)
def test_no_secret_is_written_down(found: tuple[Manifest, Manifest]) -> None:
    for each in found[1].get("env", []):
        is_secret = any(word in each["name"] for word in ("PASSWORD", "TOKEN", "SECRET"))
        assert not is_secret or "secretKeyRef" in each["valueFrom"], each["name"]
    assert not [each for each in plain() if each["kind"] == "Secret"]


def test_pod_security_is_enforced_where_all_of_it_runs() -> None:
    (namespace,) = [each for each in plain() if each["kind"] == "Namespace"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_sessions_of_the_reaper_are_none_of_what_hosts_them() -> None:
    """The reaper looks for this label, and sessions are let in by it."""
    assert not [each for each in plain() if "app.kubernetes.io/managed-by" in labels(each)]


def test_sessions_let_the_portal_s_namespace_in_and_reach_its_hub() -> None:
    (namespace,) = [each for each in plain() if each["kind"] == "Namespace"]
    (portal,) = [each for each in fences.policies(egress=False, portal=True) if each["metadata"]["name"] == "portal"]
    (rule,) = portal["spec"]["egress"]
    for selected in (portal["spec"]["ingress"][0]["from"][0], rule["to"][0]):
        assert selected["namespaceSelector"]["matchLabels"].items() <= labels(namespace).items()
    (hub,) = [each for each in EVERY if name(each) == "Deployment/hub"]
    assert rule["to"][0]["podSelector"]["matchLabels"].items() <= hub["spec"]["template"]["metadata"]["labels"].items()
    assert rule["ports"][0]["port"] in {port["containerPort"] for port in pod(hub)["containers"][0]["ports"]}


def labels(manifest: Manifest) -> dict[str, Any]:
    found: dict[str, Any] = manifest["metadata"].get("labels") or {}
    return found


def test_nothing_is_reached_that_no_policy_names() -> None:
    policies = [each for each in plain() if each["kind"] == "NetworkPolicy"]
    (closed,) = [each for each in policies if name(each) == "NetworkPolicy/default-deny"]
    assert closed["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    (api,) = [
        rule
        for each in policies
        if name(each) == "NetworkPolicy/proxy"
        for rule in each["spec"]["ingress"]
        if {"protocol": "TCP", "port": 8001} in rule["ports"]
    ]
    assert api["from"] == [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "hub"}}}]
