"""The manifests that `render` writes: letter by letter for our own labs, and what the schemas of the API say of them.

`UPDATE_GOLDEN=1 pytest tests/unit/runtimes/kubernetes/test_manifests.py` writes the golden files anew.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from labctl.cli.render import kubernetes_yaml, to_yaml
from labctl.errors import LabFileError, PreflightError
from labctl.labs.catalog import summaries
from labctl.labs.lab import load
from labctl.notebook import notebook
from labctl.planning import declared_layout, plan
from labctl.runtimes.kubernetes import folders, manifests
from labctl.runtimes.kubernetes.labels import namespace
from labctl.settings import Settings
from tests.conftest import LAB

WriteLab = Callable[..., Path]
GOLDEN = Path(__file__).resolve().parents[3] / "golden" / "kubernetes"
OURS = [(row.id, profile) for row in summaries(()) for profile in load(row.id, ()).spec.profiles]
KEPT = [(lab, profile) for lab in ("stage1-inference-api", "stage2-finetune") for profile in ("cpu", "gpu")]
"""Those whose files are compared line by line: one with the learner's own service, one with a model and a GPU."""
VERSIONS = ("1.29", "1.33", "1.37")
CLUSTER_WIDE = ("Namespace",)


def rendered(folder: Path | str, chosen: Settings, profile: str = "cpu") -> list[dict[str, Any]]:
    """The manifests for the lab in `folder`."""
    text = kubernetes_yaml(load(str(folder), ()), "ada", profile, replace(chosen, labs=()))  # type: ignore[arg-type]
    return list(yaml.safe_load_all(text))


def lab_with(page: str = "", *, more: str = "", top: str = "workspace: {image: debian}\n") -> str:
    """The small lab of the tests on containers, with more lines for its service `page` and more services."""
    text = LAB.replace("    owner: learner\n", f"    owner: learner\n    image: debian\n{page}{more}")
    return text.replace("services:\n", f"{top}services:\n")


def found(manifests: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    return next(each for each in manifests if each["kind"] == kind and each["metadata"]["name"] == name)


def pod(manifest: Mapping[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = manifest["spec"]["template"]["spec"]
    return spec


def pods(manifests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [pod(each) for each in manifests if each["kind"] in ("Deployment", "Job")]


@pytest.mark.parametrize(("lab", "profile"), OURS)
def test_our_labs_are_manifests_that_clusters_accept(lab: str, profile: str, chosen: Settings) -> None:
    for manifest in rendered(lab, chosen, profile):
        for version in VERSIONS if (lab, profile) in KEPT else VERSIONS[-1:]:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_the_schemas_refuse_what_is_wrong(chosen: Settings) -> None:
    deployment = found(rendered("stage1-inference-api", chosen), "Deployment", "api")
    pod(deployment)["containers"][0]["imagee"] = "a typing mistake"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, VERSIONS[0], strict=True)


@pytest.mark.parametrize(("lab", "profile"), KEPT)
def test_a_lab_looks_as_manifests_as_it_did(lab: str, profile: str, chosen: Settings) -> None:
    text = _lasting(rendered(lab, chosen, profile))
    file = GOLDEN / f"{lab}.{profile}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def test_no_golden_file_is_left_over() -> None:
    assert {file.name for file in GOLDEN.iterdir()} == {f"{lab}.{profile}.yaml" for lab, profile in KEPT}


@pytest.mark.parametrize(("lab", "profile"), KEPT)
def test_every_pod_is_what_pod_security_restricted_admits(lab: str, profile: str, chosen: Settings) -> None:
    """The rules of https://kubernetes.io/docs/concepts/security/pod-security-standards/, level restricted."""
    volumes = {"configMap", "downwardAPI", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
    for spec in pods(rendered(lab, chosen, profile)):
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert all(volume.keys() - {"name"} <= volumes for volume in spec["volumes"])
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            security = container["securityContext"]
            assert (security["allowPrivilegeEscalation"], security["capabilities"]) == (False, {"drop": ["ALL"]})
            assert "privileged" not in security


@pytest.mark.parametrize(("lab", "profile"), KEPT)
def test_no_pod_has_a_token_or_is_without_limits_and_all_fit_into_the_quota(
    lab: str, profile: str, chosen: Settings
) -> None:
    made = rendered(lab, chosen, profile)
    hard = found(made, "ResourceQuota", "session")["spec"]["hard"]
    assert all(spec["automountServiceAccountToken"] is False for spec in pods(made))
    memory = [_memory_mib(spec) for spec in pods(made)]
    assert sum(memory) <= int(hard["limits.memory"].removesuffix("Mi"))
    gpus = [int(spec["containers"][0]["resources"]["limits"].get("nvidia.com/gpu", 0)) for spec in pods(made)]
    assert sum(gpus) == int(hard["requests.nvidia.com/gpu"])
    assert sum(gpus) == (1 if profile == "gpu" else 0)
    assert len(memory) <= int(hard["pods"])


def test_a_small_lab_s_init_containers_fit_into_its_quota(write_lab: WriteLab, chosen: Settings) -> None:
    made = rendered(write_lab(text=lab_with()), chosen)
    assert [_memory_mib(spec) for spec in pods(made)] == [64, 64]


def test_everything_is_in_the_namespace_and_bears_the_session_s_labels(chosen: Settings) -> None:
    for manifest in rendered("stage1-inference-api", chosen):
        metadata = manifest["metadata"]
        assert metadata["labels"]["labctl.session"] == "stage1-inference-api--ada"
        assert metadata["labels"]["app.kubernetes.io/managed-by"] == "labctl"
        if manifest["kind"] not in CLUSTER_WIDE:
            assert metadata["namespace"] == "stage1-inference-api--ada"


def test_nothing_that_is_kept_from_learners_is_in_the_cluster(chosen: Settings) -> None:
    text = to_yaml([each for each in rendered("stage1-inference-api", chosen) if each["kind"] == "ConfigMap"])
    assert "workspace__app.py" in text
    assert not re.search(r"(checks|solution|mutants)__|lab\.yaml:", text)


def test_without_egress_only_the_session_and_dns_are_reached(write_lab: WriteLab, chosen: Settings) -> None:
    folder = f"{write_lab(text=lab_with())}/"
    names = {each["metadata"]["name"] for each in rendered(folder, chosen) if each["kind"] == "NetworkPolicy"}
    assert names == {"default-deny", "within-session", "dns"}


def test_with_egress_neither_private_addresses_nor_the_metadata_service_are_reached(
    write_lab: WriteLab, chosen: Settings
) -> None:
    top = "workspace: {image: debian}\negress: true\n"
    folder = f"{write_lab(text=lab_with(top=top))}/"
    internet = found(rendered(folder, chosen), "NetworkPolicy", "internet")
    block = internet["spec"]["egress"][0]["to"][0]["ipBlock"]
    assert block["cidr"] == "0.0.0.0/0"
    assert {"10.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"} <= set(block["except"])


def test_a_dollar_means_itself_and_a_secret_comes_from_the_secret(write_lab: WriteLab, chosen: Settings) -> None:
    text = lab_with('    environment: {A: "$(HOME) ${HOME} $$", B: "x{{ secret(\'a-b\') }}y$"}\n')
    env = pod(found(rendered(f"{write_lab(text=text)}/", chosen), "Deployment", "page"))["containers"][0]["env"]
    values = {each["name"]: each.get("value") for each in env}
    assert values["A"] == "$$(HOME) ${HOME} $$$"
    assert values["B"] == "x$(LABCTL_SECRET_A_B)y$"
    key = {"name": "session-secrets", "key": "A_B"}
    assert env[0] == {"name": "LABCTL_SECRET_A_B", "valueFrom": {"secretKeyRef": key}}


def test_startup_gets_the_time_that_the_lab_gives_and_liveness_is_apart(write_lab: WriteLab, chosen: Settings) -> None:
    page = "    healthcheck: {http: /ready?a=1, timeout: 90s, interval: 2s}\n"
    text = lab_with(page).replace("    owner: learner\n", "")
    container = pod(found(rendered(f"{write_lab(text=text)}/", chosen), "Deployment", "page"))["containers"][0]
    startup, live = container["startupProbe"], container["livenessProbe"]
    assert startup["httpGet"] == {"path": "/ready?a=1", "port": 8000}
    assert startup["periodSeconds"] * startup["failureThreshold"] == 90
    assert live["periodSeconds"] > startup["periodSeconds"]
    assert "readinessProbe" in container


def test_a_learner_s_own_service_is_not_restarted_for_being_slow(write_lab: WriteLab, chosen: Settings) -> None:
    text = lab_with("    healthcheck: {tcp: true}\n")
    container = pod(found(rendered(f"{write_lab(text=text)}/", chosen), "Deployment", "page"))["containers"][0]
    assert "livenessProbe" not in container


def test_what_is_meant_to_end_is_a_job_and_all_else_a_deployment(write_lab: WriteLab, chosen: Settings) -> None:
    made = rendered(write_lab(text=lab_with(more='  once: {image: debian, restart: "no"}\n')), chosen)
    kinds = {each["metadata"]["name"]: each["kind"] for each in made if each["kind"] in ("Job", "Deployment")}
    assert kinds == {"page": "Deployment", "once": "Job", "workspace": "Deployment"}


def test_who_needs_a_healthy_service_waits_for_it_to_answer(write_lab: WriteLab, chosen: Settings) -> None:
    more = "  other: {image: debian, depends_on: [page]}\n"
    spec = pod(found(rendered(f"{write_lab(text=lab_with(more=more))}/", chosen), "Deployment", "other"))
    waits = next(each for each in spec["initContainers"] if each["name"] == "await-page")
    assert waits["command"][-2:] == ["page", "8000"]


def test_a_gpu_is_asked_for_by_the_service_and_not_again_by_the_workspace(chosen: Settings) -> None:
    made = rendered("stage1-inference-api", chosen, "gpu")
    api, workspace = pod(found(made, "Deployment", "api")), pod(found(made, "Deployment", "workspace"))
    assert api["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in workspace["containers"][0]["resources"]["limits"]
    terms = api["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert terms == [{"matchExpressions": [{"key": "nvidia.com/gpu.memory", "operator": "Gt", "values": ["2047"]}]}]


def test_a_model_is_built_by_a_job_that_the_others_wait_for(chosen: Settings) -> None:
    made = rendered("stage2-finetune", chosen)
    jobs = [each["metadata"]["name"] for each in made if each["kind"] == "Job"]
    assert jobs == ["build-tiny"]
    waits = [each["name"] for each in pod(found(made, "Deployment", "workspace"))["initContainers"]]
    assert "models" in waits


def test_a_service_without_an_image_is_refused(write_lab: WriteLab, chosen: Settings) -> None:
    with pytest.raises(PreflightError, match="names no image for service page"):
        rendered(f"{write_lab()}/", chosen)


def test_a_folder_comes_back_from_its_config_maps_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "text é.txt").write_text("one\ntwo\n")
    (tmp_path / "a__b").write_bytes(bytes(range(256)))
    (tmp_path / "big").write_bytes(b"x" * 800_000)
    (tmp_path / "bigger").write_bytes(b"y" * 200_000)
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "run.sh").chmod(0o755)
    (tmp_path / "link").symlink_to("/etc/passwd")
    folder = folders.read("files", tmp_path)
    made = folder.manifests()
    assert [each["metadata"]["name"] for each in made] == ["files", "files-2"]
    for each in made:
        kubernetes_validate.validate(each, VERSIONS[0], strict=True)
    items = [item for source in folder.volume()["projected"]["sources"] for item in source["configMap"]["items"]]
    assert sorted(item["path"] for item in items) == ["a/b/text é.txt", "a__b", "big", "bigger", "run.sh"]
    assert [item["path"] for item in items if item.get("mode") == 0o555] == ["run.sh"]
    assert len({item["key"] for item in items}) == 5


def test_a_file_that_no_config_map_holds_is_named(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"x" * 2_000_000)
    with pytest.raises(LabFileError, match=r"weights has 2000000 bytes"):
        folders.read("files", tmp_path)


def test_a_namespace_s_name_is_a_dns_label_whatever_the_session_s() -> None:
    session = f"{'a' * 40}--{'b' * 20}"
    assert len(namespace(session, "0123456789ab")) == 63
    assert namespace(session, "0123456789ab") != namespace(session, "ab0123456789")


def _lasting(manifests: list[dict[str, Any]]) -> str:
    """What changes with every edit of an image, a model or the lab's files has words in its place."""
    for each in manifests:
        for field in ("data", "binaryData"):
            each.update({field: dict.fromkeys(each[field], "…")} if field in each else {})
    text = "---\n".join(map(to_yaml, manifests))
    text = re.sub(r"(labctl/[a-z]+:(?:cpu-|gpu-)?)[0-9a-f]{12}\b", r"\g<1>DIGEST", text)
    text = re.sub(r"\b(tiny|model)-[0-9a-f]{12}\b", r"\1-DIGEST", text)
    return re.sub(r"'?\b[0-9a-f]{64}\b'?", "DIGEST", text)  # in quotes where it could be read as a number


def _memory_mib(spec: Mapping[str, Any]) -> int:
    """What a quota counts of a pod: its container, or an init container that takes more."""
    every = [*spec["containers"], *spec.get("initContainers", [])]
    return max(int(each["resources"]["limits"]["memory"].removesuffix("Mi")) for each in every)


def test_behind_a_portal_jupyterlab_is_asked_under_its_prefix_and_let_through_to_the_hub(chosen: Settings) -> None:
    prefix = {"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/lab/", "JUPYTERHUB_API_URL": "http://hub.labs.svc:8081/hub/api"}
    found = load("stage1-inference-api", ())
    made = plan(found, learner="ada", profile="cpu", layout=declared_layout(found))
    made = made.model_copy(update={"notebook": notebook(prefix, frozenset())})
    every = manifests.declared(made, manifests.cluster_host(made, chosen)).all
    (workspace,) = [each for each in every if each["kind"] == "Deployment" and each["metadata"]["name"] == "workspace"]
    (container,) = pod(workspace)["containers"]
    assert container["startupProbe"]["httpGet"]["path"] == "/user/ada/lab/api"
    assert {"name": "JUPYTERHUB_API_URL", "value": "http://hub.labs.svc:8081/hub/api"} in container["env"]
    assert "portal" in [each["metadata"]["name"] for each in every if each["kind"] == "NetworkPolicy"]
