"""A lab as `render` writes it, on a real cluster, with kubectl and nothing of labctl.

It needs KUBECONFIG, `kubectl`, and a node that has the suite's image (tests/conformance/labs.py) and may mount folders of itself.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from labctl.cli.render import kubernetes_yaml
from labctl.labs.lab import load
from labctl.settings import Settings
from tests.conformance import labs

pytestmark = [pytest.mark.kubernetes, pytest.mark.xdist_group("kubernetes")]
NAMESPACE = f"{labs.LAB}--ada"
VOLUME = f"labctl-test-{labs.LAB}"
WAIT_S = 60
ASK = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=10).read().decode())"


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster that KUBECONFIG names."""

    config: str

    def run(self, *args: str, stdin: str = "") -> str:
        """What kubectl prints; an error of its is an error of the test."""
        done = subprocess.run(
            ["kubectl", *args],
            input=stdin,
            env=self._environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=WAIT_S + 60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def inside(self, command: str, *args: str) -> str:
        return self.run("-n", NAMESPACE, *command.split(), *args)

    def apply(self, text: str) -> str:
        return self.run("apply", "--server-side", "-f", "-", stdin=text)

    @property
    def _environ(self) -> dict[str, str]:
        return {**os.environ, "KUBECONFIG": self.config}


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    config = os.environ.get("KUBECONFIG")
    if not config:
        pytest.skip("KUBECONFIG names no cluster: start one (kind, k3d, …) and export KUBECONFIG=/its/file")
    if shutil.which("kubectl") is None:
        pytest.skip("there is no kubectl on PATH: https://kubernetes.io/docs/tasks/tools/")
    return Cluster(config)


@pytest.fixture
def applied(cluster: Cluster, tmp_path: Path, chosen: Settings) -> Iterator[Callable[..., Any]]:
    """Writes a lab with these services, renders and applies it; the namespace and its volume are gone after the test."""

    def apply(services: dict[str, labs.Service]) -> str:
        folder = labs.write(tmp_path, services, image=labs.IMAGE)
        text = kubernetes_yaml(load(f"{folder}/", ()), "ada", "cpu", replace(chosen, labs=()))
        place = tmp_path / "volume"
        place.mkdir()
        place.chmod(0o777)  # pods run as a user that this one need not be
        cluster.apply(json.dumps(_volume(place)))
        cluster.apply(text)
        return text

    yield apply
    cluster.run("delete", "namespace", NAMESPACE, "--ignore-not-found")
    cluster.run("delete", "persistentvolume", VOLUME, "--ignore-not-found")


def test_a_lab_comes_up_answers_and_goes_without_labctl(cluster: Cluster, applied: Callable[..., str]) -> None:
    web = labs.server(restart="always")
    other = labs.server(restart="always", depends_on=["web"], environment={"WEB": "{{ url('web') }}/"})
    text = applied({"web": web, "other": other})
    cluster.inside("wait --for=condition=Available deployment --all", f"--timeout={WAIT_S}s")
    answer = json.loads(cluster.inside("exec deploy/workspace -- python3 -c", ASK, "http://other:8000/fetch/WEB"))
    assert answer["environment"]["LEARNER"] == "ada"
    assert answer["environment"]["LABCTL_SERVICE"] == "web"
    assert cluster.inside("exec deploy/workspace -- cat readme.txt") == "start here\n"
    assert cluster.inside("exec deploy/workspace -- id -u").strip() == "1000"
    assert (
        cluster.inside("exec deploy/workspace -- sh -c", "touch /new 2>&1 || true")
        .strip()
        .endswith("Read-only file system")
    )
    assert cluster.inside("exec deploy/workspace -- sh -c", "ls /var/run/secrets 2>&1 || true").startswith("ls: ")
    before = _pods(cluster)
    cluster.apply(text)
    assert _pods(cluster) == before


def test_a_pod_that_dies_comes_back_with_the_learner_s_files(cluster: Cluster, applied: Callable[..., str]) -> None:
    applied({"web": labs.server(restart="always")})
    cluster.inside("wait --for=condition=Available deployment --all", f"--timeout={WAIT_S}s")
    cluster.inside("exec deploy/workspace -- sh -c", "echo mine > readme.txt; echo more > work.txt")
    cluster.inside("delete pod -l labctl.service=workspace --grace-period=1")
    cluster.inside("rollout status deployment/workspace", f"--timeout={WAIT_S}s")
    assert cluster.inside("exec deploy/workspace -- cat readme.txt work.txt") == "mine\nmore\n"


def test_a_job_runs_once_and_ends(cluster: Cluster, applied: Callable[..., str]) -> None:
    applied({"job": labs.worker("say:hello")})
    cluster.inside("wait --for=condition=Complete job/job", f"--timeout={WAIT_S}s")
    assert "hello" in cluster.inside("logs job/job")


def _pods(cluster: Cluster) -> set[str]:
    return set(cluster.inside("get pods -o name").split())


def _volume(place: Path) -> dict[str, Any]:
    """For clusters without a default storage class; where there is one, its own volume is as good."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": VOLUME},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"namespace": NAMESPACE, "name": "workspace"},
            "hostPath": {"path": str(place), "type": "Directory"},
        },
    }
