"""Labs of the learning path on a cluster, as a learner meets them: one done from start to end, one that needs a GPU nobody has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labctl.errors import UnhealthyError
from labctl.images.catalog import reference
from labctl.runtimes.docker.labels import home_id
from labctl.runtimes.kubernetes.api import Api
from labctl.runtimes.kubernetes.labels import namespace
from labctl.settings import load
from tests.conformance.engines import KubernetesEngine
from tests.conformance.labs import IMAGE
from tests.integration.kubernetes.storage import storage_class

pytestmark = [pytest.mark.kubernetes, pytest.mark.slow, pytest.mark.xdist_group("kubernetes")]
LAB = "stage1-inference-api"


def labctl(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "labctl", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)


def answer(*args: str, code: int = 0) -> Any:
    result = labctl(*args, "--json")
    assert result.returncode == code, result.stdout + result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def api(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """A cluster with storage, and labctl set up for it."""
    engine = KubernetesEngine()
    if why := engine.missing():
        pytest.skip(why)
    for name, value in {"LABCTL_BASE_IMAGE": IMAGE, "LABCTL_RUNTIME": "kubernetes", "LABCTL_LABS": ""}.items():
        monkeypatch.setenv(name, value)
    for image in ("docker/workspace", "docker/labctl"):
        if not engine.has_image(wanted := reference(image, "cpu", load())):
            pytest.skip(f"the cluster's node has no image {wanted}: `labctl image build`, then load it there")
    found = Api(os.environ["KUBECONFIG"])
    with storage_class(found, home / "volumes", 2) as name:
        monkeypatch.setenv("LABCTL_STORAGE_CLASS", name)
        yield found
        labctl("down", LAB, "--purge", "--yes")


def test_a_lab_is_done_from_start_to_end(api: Api) -> None:
    started = answer("up", LAB, "--profile", "cpu")
    assert {name: service["state"] for name, service in started["services"].items()} == {
        "api": "running",
        "workspace": "running",
    }
    before = answer("verify", LAB, code=1)
    assert (before["trust"], before["score"]) == ("cluster", 0)
    assert labctl("lab", "solve", LAB, "--yes").returncode == 0
    after = answer("verify", LAB)
    assert (after["outcome"], after["score"]) == ("pass", after["max_score"])


def test_a_lab_whose_gpu_nobody_has_waits_and_says_why(api: Api, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if any("nvidia.com/gpu" in (node["status"].get("allocatable") or {}) for node in api.items("Node")):
        pytest.skip("this cluster has GPUs: it would not wait")
    (home / "models").mkdir()
    monkeypatch.setenv("LABCTL_MODELS", str(home / "models"))  # whose content does not matter: nothing starts
    failed = labctl("up", LAB, "--profile", "gpu")
    assert failed.returncode == UnhealthyError.exit_code
    assert "no node has the GPU that the lab asks for" in failed.stderr
    (session,) = answer("status", LAB)["sessions"]
    pods = api.items("Pod", namespace(session["session"], home_id(load().home)))
    phases = {pod["metadata"]["labels"]["labctl.service"]: pod["status"]["phase"] for pod in pods}
    assert (session["state"], phases["api"]) == ("FAILED", "Pending")
