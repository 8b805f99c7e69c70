"""A class of twenty on a cluster, as an instructor runs it: plan, up, three learners do the lab, verify, export, down."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labctl.runtimes.docker.labels import HOME, home_id
from labctl.runtimes.kubernetes import kinds
from labctl.runtimes.kubernetes.api import Api
from tests.conformance.engines import KubernetesEngine
from tests.conformance.homes import until
from tests.conformance.labs import IMAGE
from tests.integration.kubernetes.storage import storage_class

LEARNERS = [f"l{number}" for number in range(20)]
DILIGENT = LEARNERS[:3]
pytestmark = [pytest.mark.kubernetes, pytest.mark.xdist_group("kubernetes")]
CRITERIA = [
    {
        "id": "page",
        "text": "Your page is served",
        "points": 3,
        "hint": "Write page.html.",
        "checks": [{"http": {"service": "web", "path": "/page.html", "text": {"contains": "hello"}}}],
    },
    {
        "id": "file",
        "text": "It is there",
        "points": 1,
        "hint": "Write it.",
        "checks": [{"file": {"path": "page.html"}}],
    },
]
SERVICE = {
    "image": IMAGE,
    "command": ["python3", "-m", "http.server", "8000", "--bind", "0.0.0.0", "--directory", "{{ workspace }}"],
    "ports": {"http": 8000},
    "healthcheck": {"http": "/"},
}
LAB = {
    "title": "A page",
    "stage": 1,
    "minutes": 5,
    "profiles": {"cpu": {"memory": "64MiB", "disk": "1MiB"}},
    "services": {"web": SERVICE},
    "criteria": CRITERIA,
}


def labctl(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "labctl", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)


def answer(*args: str, code: int = 0) -> Any:
    result = labctl(*args, "--json")
    assert result.returncode == code, result.stdout + result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def autumn(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if why := KubernetesEngine().missing():
        pytest.skip(why)
    monkeypatch.setenv("LABCTL_BASE_IMAGE", IMAGE)
    monkeypatch.setenv("LABCTL_RUNTIME", "kubernetes")
    place = home / "labs" / "page"
    (place / "workspace").mkdir(parents=True)
    (place / "workspace" / "readme.txt").write_text("start here\n")
    (place / "lab.yaml").write_text(json.dumps(LAB))
    folder = home / "autumn"
    folder.mkdir()
    file = {"labs": ["page"], "roster": "roster.csv", "runtime": "kubernetes", "overcommit": 100}
    (folder / "cohort.yaml").write_text(json.dumps(file))
    (folder / "roster.csv").write_text("Name,ID\n" + "".join(f"Learner {one},{one}\n" for one in LEARNERS))
    api = Api(os.environ["KUBECONFIG"])
    with storage_class(api, home / "volumes", len(LEARNERS)) as name:
        monkeypatch.setenv("LABCTL_STORAGE_CLASS", name)
        yield str(folder)
        labctl("cohort", "down", str(folder))
        for each in _namespaces():
            api.delete(kinds.path("Namespace", None, each))


def test_a_class_on_a_cluster_from_its_list_to_its_grades(autumn: str, tmp_path: Path) -> None:
    assert answer("cohort", "plan", autumn)["all_at_once"]
    started = answer("cohort", "up", autumn)["sessions"]
    assert {row["learner"]: row["problem"] for row in started} == dict.fromkeys(LEARNERS)

    urls = {row["learner"]: row["words"].partition(" ")[2] for row in started}
    for learner in DILIGENT:
        page = tmp_path / "page.html"
        page.write_text(f"hello from {learner}")
        assert labctl("cp", str(page), f"page--autumn--{learner}:").returncode == 0
    for learner in DILIGENT:
        with urllib.request.urlopen(f"{urls[learner]}/page.html", timeout=30) as seen:
            assert seen.read().decode() == f"hello from {learner}"

    judged = answer("cohort", "verify", autumn)["sessions"]
    points = {row["learner"]: row["words"] for row in judged}
    assert points == {one: f"{4 if one in DILIGENT else 0} of 4 points" for one in LEARNERS}
    grades = list(csv.reader(io.StringIO(labctl("cohort", "export", autumn).stdout)))
    assert [row[-1] for row in grades[1:]] == ["100"] * 3 + ["0"] * 17

    assert len(answer("cohort", "down", autumn)["sessions"]) == len(LEARNERS)
    assert answer("status")["sessions"] == []
    assert len(_namespaces()) == len(LEARNERS)  # they hold the learners' files
    assert len(answer("cohort", "down", autumn, "--purge", "--yes")["sessions"]) == len(LEARNERS)
    until(lambda: not _namespaces(), within_s=120)
    assert [row[-1] for row in csv.reader(io.StringIO(labctl("cohort", "export", autumn).stdout))][1:4] == ["100"] * 3


def _namespaces() -> list[str]:
    mine = home_id(Path(os.environ["LABCTL_HOME"]))
    found = Api(os.environ["KUBECONFIG"]).items("Namespace", labelSelector=f"{HOME}={mine}")
    return [each["metadata"]["name"] for each in found]
