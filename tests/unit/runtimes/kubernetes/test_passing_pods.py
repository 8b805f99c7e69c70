"""The pods that labctl makes for a while: for a check's command, for a judge, for the files of a claim. Manifests, no cluster."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import kubernetes_validate
import pytest

from labctl.labs.lab import load
from labctl.planning import plan
from labctl.runtimes.folder import SessionFolder
from labctl.runtimes.kubernetes import claimed, commands, folders, judge
from labctl.runtimes.kubernetes.namespace import Cluster, Namespace
from labctl.runtimes.kubernetes.runtime import KubernetesRuntime
from labctl.runtimes.kubernetes.wanted import wanted
from labctl.settings import Settings

LABCTL = "registry.example/labctl:1"
VOLUMES = {"configMap", "emptyDir", "persistentVolumeClaim", "projected"}


class Applied:
    """An API that takes everything."""

    def __init__(self) -> None:
        self.objects: list[dict[str, Any]] = []

    def apply(self, manifest: dict[str, Any]) -> None:
        self.objects.append(manifest)


@pytest.fixture
def namespace(chosen: Settings) -> Namespace:
    """That of a session of stage2-finetune, which has checks with commands and a model."""
    lab = load("stage2-finetune", ())
    layout = KubernetesRuntime(chosen).layout(lab, "stage2-finetune--ada", chosen.workspaces)
    made = plan(lab, learner="ada", profile="cpu", layout=layout)
    folder = SessionFolder(chosen.home, made.session)
    return Namespace(cast("Cluster", SimpleNamespace(api=Applied())), folder, wanted(made, chosen, folder, None).handle)


@pytest.fixture
def passing(namespace: Namespace) -> dict[str, dict[str, Any]]:
    """What each is for → its pod's spec."""
    lab = folders.read("judge-lab", Path(namespace.handle["lab_path"]), ["lab.yaml", "checks"])
    made = {
        "check": commands.check_pod(namespace, commands.part_of(namespace), "check-1", 60.0),
        "judge": judge.job(namespace, "grader-1", lab, LABCTL),
        "keeper": claimed.pod(namespace, "keeper-1", LABCTL, "1000:1000"),
    }
    for manifest in made.values():
        kubernetes_validate.validate(manifest, "1.29", strict=True)
        assert manifest["metadata"]["namespace"] == namespace.name
        assert manifest["metadata"]["labels"]["labctl.session"] == namespace.session
    return {name: each["spec"].get("template", each)["spec"] for name, each in made.items()}


@pytest.mark.parametrize("which", ["check", "judge", "keeper"])
def test_pod_security_restricted_admits_it(passing: dict[str, dict[str, Any]], which: str) -> None:
    """The rules of https://kubernetes.io/docs/concepts/security/pod-security-standards/, level restricted."""
    spec = passing[which]
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert all(volume.keys() - {"name"} <= VOLUMES for volume in spec["volumes"])
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        security = container["securityContext"]
        assert (security["allowPrivilegeEscalation"], security["capabilities"]) == (False, {"drop": ["ALL"]})
        assert security["readOnlyRootFilesystem"] is True


@pytest.mark.parametrize("which", ["check", "judge", "keeper"])
def test_it_has_limits_and_the_cluster_ends_it_when_nobody_does(passing: dict[str, dict[str, Any]], which: str) -> None:
    spec = passing[which]
    assert spec["activeDeadlineSeconds"] > 0
    assert spec["restartPolicy"] == "Never"
    assert all({"cpu", "memory"} <= container["resources"]["limits"].keys() for container in spec["containers"])


def test_only_the_judge_has_a_token_and_what_is_of_the_learner_it_cannot_write(
    passing: dict[str, dict[str, Any]],
) -> None:
    assert {name for name, spec in passing.items() if spec["automountServiceAccountToken"]} == {"judge"}
    mounts = passing["judge"]["containers"][0]["volumeMounts"]
    writable = {mount["mountPath"] for mount in mounts if not mount.get("readOnly")}
    assert writable == {"/tmp", "/var/lib/labctl"}


def test_the_judge_may_do_nothing_outside_its_namespace_and_read_no_secret() -> None:
    kinds = {each["kind"] for each in judge.account()}
    assert kinds == {"ServiceAccount", "Role", "RoleBinding", "NetworkPolicy"}
    rules = next(each for each in judge.account() if each["kind"] == "Role")["rules"]
    assert not {"secrets", "*"} & {resource for rule in rules for resource in rule["resources"]}
    assert not {"*", "patch", "update"} & {verb for rule in rules for verb in rule["verbs"]}
