"""What k8s/ holds is what clusters accept, and each part names others that are there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from tests.unit.hosting.tree import (
    BASE,
    COMPONENTS,
    ROOT,
    STANDALONE,
    Manifest,
    kustomization,
    name,
    plain,
    pod,
    rendered,
    renderer,
    workloads,
)

VERSIONS = ("1.29", "1.33", "1.37")
SINCE = {"ValidatingAdmissionPolicy": "1.33", "ValidatingAdmissionPolicyBinding": "1.33"}
"""The first of these versions that serves the kind."""
FOREIGN = {
    "HTTPRoute": "gateway.networking.k8s.io/v1",
    "ServiceMonitor": "monitoring.coreos.com/v1",
    "ClusterQueue": "kueue.x-k8s.io/v1beta2",
    "ResourceFlavor": "kueue.x-k8s.io/v1beta2",
}
"""Kinds of others, of which no schema is here: Gateway API, Prometheus operator, Kueue."""
SECRETS = {
    "portal": {"proxy-token", "prometheus-token", "postgresql-password"},
    "cohort": set[str](),
    "databases": {"labctl", "hub"},
}
"""What a platform team makes; k8s/README.md says how."""
OVERLAYS = [ROOT / "overlays" / each for each in COMPONENTS]
needs_kustomize = pytest.mark.skipif(
    renderer() is None, reason="there is neither kustomize nor a kubectl of 1.27 or later: https://kustomize.io"
)


def is_valid(manifest: Manifest) -> None:
    kind = manifest["kind"]
    if kind in FOREIGN:
        assert manifest["apiVersion"] == FOREIGN[kind]
        return
    for version in VERSIONS[VERSIONS.index(SINCE.get(kind, VERSIONS[0])) :]:
        kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("manifest", plain(), ids=name)
def test_every_manifest_is_as_the_api_s_schemas_say(manifest: Manifest) -> None:
    is_valid(manifest)


def test_a_manifest_that_is_not_is_refused() -> None:
    manifest = next(each for each in plain() if name(each) == "Deployment/hub")
    wrong = {**manifest, "spec": {**manifest["spec"], "replica": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        is_valid(wrong)


@needs_kustomize
@pytest.mark.parametrize("folder", [*STANDALONE, *OVERLAYS], ids=lambda path: path.name)
def test_what_is_rendered_is_valid_too_and_all_of_it_stands_in_one_namespace(folder: Path) -> None:
    manifests = rendered(folder)
    assert len(manifests) > 1
    assert len({(each["kind"], each["metadata"]["name"]) for each in manifests}) == len(manifests)
    for each in manifests:
        is_valid(each)
        assert each["metadata"].get("namespace", "labctl-system") == "labctl-system"
        assert each["metadata"]["labels"]["app.kubernetes.io/part-of"] == "labctl"


@needs_kustomize
@pytest.mark.parametrize("folder", [BASE, *OVERLAYS], ids=lambda path: path.name)
def test_what_pods_refer_to_is_there(folder: Path) -> None:
    manifests = rendered(folder)
    there = {name(each) for each in manifests}
    for workload in workloads(manifests):
        spec = pod(workload)
        assert f"ServiceAccount/{spec['serviceAccountName']}" in there
        for kind, referred in references(spec):
            if kind == "Secret":
                assert referred in SECRETS
            else:
                assert f"{kind}/{referred}" in there, name(workload)


@needs_kustomize
@pytest.mark.parametrize("folder", [BASE, *OVERLAYS], ids=lambda path: path.name)
def test_every_service_leads_to_a_port_of_a_pod(folder: Path) -> None:
    manifests = rendered(folder)
    for service in (each for each in manifests if each["kind"] == "Service"):
        wanted = service["spec"]["selector"].items()
        found = [w for w in workloads(manifests) if wanted <= w["spec"]["template"]["metadata"]["labels"].items()]
        assert len(found) == 1, name(service)
        listening = {port["name"] for each in pod(found[0])["containers"] for port in each["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= listening


def test_components_and_overlays_are_pairs() -> None:
    assert sorted(path.parent.name for path in ROOT.glob("overlays/*/kustomization.yaml")) == COMPONENTS
    for overlay in OVERLAYS:
        assert kustomization(overlay)["components"] == [f"../../components/{overlay.name}"]


def test_every_secret_and_key_is_in_the_instructions() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    used = {key for each in workloads(plain()) for key in keys(pod(each))}
    for secret, known in SECRETS.items():
        assert f"secret generic {secret} " in text
        assert all(f"{key}=" in text for key in known)
    assert used <= {(secret, key) for secret, known in SECRETS.items() for key in known}


def test_the_board_and_the_hub_listen_where_the_services_say() -> None:
    from labctl.hub.place import PORTS

    hub = next(each for each in plain() if name(each) == "Deployment/hub")
    (container,) = pod(hub)["containers"]
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == PORTS


def test_the_hub_is_told_what_it_needs_to_stand_apart_from_its_proxy() -> None:
    from labctl.hub.place import place

    hub = next(each for each in plain() if name(each) == "Deployment/hub")
    (container,) = pod(hub)["containers"]
    told = {each["name"]: each.get("value", "from elsewhere") for each in container["env"]}
    assert place(told) is not None


def test_programs_are_called_as_they_want_to_be() -> None:
    import typer

    from labctl.cli.app import app

    ours = [c for each in workloads(plain()) for c in pod(each)["containers"] if c["image"] == "labctl/labctl"]
    assert len(ours) == 2
    for container in ours:
        understand(typer.main.get_command(app), None, list(container["args"]))


def test_more_configuration_of_the_hub_adds_one_service_that_can_only_read_metrics(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from traitlets.config import Config

    config = Config()
    config.JupyterHub.services, config.JupyterHub.load_roles = [], []
    monkeypatch.setenv("PROMETHEUS_TOKEN", "told")
    text = (BASE / "hub.py").read_text(encoding="utf-8")
    exec(compile(text, "hub.py", "exec"), {"get_config": lambda: config})
    assert config.JupyterHub.services == [{"name": "prometheus", "api_token": "told"}]
    assert [role["scopes"] for role in config.JupyterHub.load_roles] == [["read:metrics"]]


def references(spec: Manifest) -> list[tuple[str, str]]:
    """(kind, name) of the ConfigMaps and Secrets that a pod takes."""
    found = []
    for volume in spec.get("volumes", []):
        if "configMap" in volume:
            found.append(("ConfigMap", volume["configMap"]["name"]))
        if "secret" in volume:
            found.append(("Secret", volume["secret"]["secretName"]))
    for container in spec["containers"]:
        found += [("ConfigMap", each["configMapRef"]["name"]) for each in container.get("envFrom", [])]
    return found + [("Secret", secret) for secret, _ in keys(spec)]


def keys(spec: Manifest) -> list[tuple[str, str]]:
    """(Secret, key) of everything that a pod's environment or volumes name by key."""
    asked = [each["valueFrom"]["secretKeyRef"] for c in spec["containers"] for each in c.get("env", []) if by_key(each)]
    mounted = [
        (volume["secret"]["secretName"], item["key"])
        for volume in spec.get("volumes", [])
        for item in volume.get("secret", {}).get("items", [])
    ]
    return [(each["name"], each["key"]) for each in asked] + mounted


def by_key(entry: Manifest) -> bool:
    return "secretKeyRef" in (entry.get("valueFrom") or {})


def test_versions_are_pinned() -> None:
    for each in workloads(plain()):
        for container in pod(each)["containers"]:
            image = container["image"]
            is_ours = image.startswith("labctl/")  # a hash of what it is made from: kustomize's `images:` sets it
            assert is_ours or re.search(r":v?\d+\.\d+[\w.-]*$", image), image


def understand(command: Any, parent: Any, words: list[str]) -> None:
    """Have typer read the words, down to the last command; it complains of what it does not know. Runs nothing."""
    with command.make_context(command.name, words, parent=parent) as context:
        if hasattr(command, "resolve_command"):
            _, found, rest = command.resolve_command(context, [*context._protected_args, *context.args])
            understand(found, context, rest)
