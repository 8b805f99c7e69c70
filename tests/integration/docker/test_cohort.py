"""A class in containers, as an instructor runs it: plan, up, three learners do the lab, verify, export, down."""

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

LEARNERS = [f"l{number}" for number in range(10)]
DILIGENT = LEARNERS[:3]
pytestmark = pytest.mark.docker


def labctl(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "labctl", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=400)


def answer(*args: str, code: int = 0) -> Any:
    result = labctl(*args, "--json")
    assert result.returncode == code, result.stdout + result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def autumn(home: Path, base_image: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("LABCTL_BASE_IMAGE", base_image)
    criteria = [
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
    service = {
        "image": base_image,
        "command": ["python3", "-m", "http.server", "8000", "--directory", "{{ workspace }}"],
        "ports": {"http": 8000},
        "healthcheck": {"http": "/"},
    }
    lab = {
        "title": "A page",
        "stage": 1,
        "minutes": 5,
        "profiles": {"cpu": {"memory": "64MiB", "disk": "1MiB"}},
        "services": {"web": service},
        "criteria": criteria,
    }
    place = home / "labs" / "page"
    (place / "workspace").mkdir(parents=True)
    (place / "workspace" / "readme.txt").write_text("start here\n")
    (place / "lab.yaml").write_text(json.dumps(lab))
    folder = home / "autumn"
    folder.mkdir()
    file = {"labs": ["page"], "roster": "roster.csv", "runtime": "docker", "overcommit": 100}
    (folder / "cohort.yaml").write_text(json.dumps(file))
    (folder / "roster.csv").write_text("Name,ID\n" + "".join(f"Learner {one},{one}\n" for one in LEARNERS))
    yield str(folder)
    labctl("down", "--all")


def test_a_class_in_containers_from_its_list_to_its_grades(autumn: str) -> None:
    assert answer("cohort", "plan", autumn)["all_at_once"]
    started = answer("cohort", "up", autumn)["sessions"]
    assert {row["learner"]: row["problem"] for row in started} == dict.fromkeys(LEARNERS)

    urls = {row["learner"]: row["words"].partition(" ")[2] for row in started}
    workspaces = Path(os.environ["LABCTL_WORKSPACES"]) / "autumn"
    for learner in DILIGENT:
        (workspaces / learner / "page" / "page.html").write_text(f"hello from {learner}")
    for learner in DILIGENT:
        with urllib.request.urlopen(f"{urls[learner]}/page.html", timeout=30) as page:
            assert page.read().decode() == f"hello from {learner}"

    judged = answer("cohort", "verify", autumn)["sessions"]
    points = {row["learner"]: row["words"] for row in judged}
    assert points == {one: f"{4 if one in DILIGENT else 0} of 4 points" for one in LEARNERS}
    grades = list(csv.reader(io.StringIO(labctl("cohort", "export", autumn).stdout)))
    assert [row[-1] for row in grades[1:]] == ["100"] * 3 + ["0"] * 7

    assert len(answer("cohort", "down", autumn)["sessions"]) == len(LEARNERS)
    assert answer("status")["sessions"] == []
    assert (workspaces / "l0" / "page" / "page.html").is_file()
