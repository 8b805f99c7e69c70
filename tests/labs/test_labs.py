"""Every lab that ships is proved end to end, cpu profile: real environments, images, services and training."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labctl.labs import catalog
from labctl.labs.lab import load_folder
from labctl.sessions.lint import problems

if TYPE_CHECKING:
    from _pytest.mark import ParameterSet
    from docker import DockerClient

ROOT = Path(__file__).resolve().parents[2]
LABS = sorted(path.parent for path in catalog.builtin_folder().glob(f"*/{catalog.LAB_FILE}"))
HOME = ROOT / ".cache" / "labs"
"""One home for all of them, kept between runs: environments and models are made once, under locks."""
SECONDS = {
    "stage2-finetune": 730,
    "stage2-serving": 656,
    "stage2-observability": 555,
    "stage2-experiments": 552,
    "stage1-rag": 481,
    "stage2-context": 334,
    "stage1-pipelines": 316,
    "stage2-vectordb": 285,
    "stage0-foundations": 281,
    "stage0-transformer": 274,
    "stage1-chatbot": 206,
    "stage1-inference-api": 114,
    "stage2-agents": 104,
}
"""What labs took to prove on two busy cores, another lab beside; 300 is assumed of any other. Only for sharing them out."""
IN_CONTAINERS = ("stage1-inference-api", "stage2-finetune")
"""Labs with services, proved in containers every time: between them they use all that containers are needed for."""
ALL_IN_CONTAINERS = "LABCTL_TEST_ALL_IN_CONTAINERS"


def shared_out() -> list[ParameterSet]:
    """Every lab, the longest first, each in the one of two groups that has less to do: two workers prove them side by side."""
    work = {"labs-a": 0, "labs-b": 0}
    found = []
    for folder in sorted(LABS, key=seconds, reverse=True):
        group = min(work, key=work.__getitem__)
        work[group] += seconds(folder)
        found.append(pytest.param(folder, marks=pytest.mark.xdist_group(group), id=folder.name))
    return found


def seconds(folder: Path) -> int:
    return SECONDS.get(folder.name, 300)


def in_containers() -> list[ParameterSet]:
    """Every lab, but those that take their turn only when they are asked for."""
    is_asked_for = bool(os.environ.get(ALL_IN_CONTAINERS))
    off = pytest.mark.skip(reason=f"it is proved in containers when {ALL_IN_CONTAINERS} is set")
    return [
        pytest.param(folder, marks=[] if is_asked_for or folder.name in IN_CONTAINERS else [off], id=folder.name)
        for folder in LABS
    ]


def labctl(*args: str, timeout_s: float = 2300, **more: str) -> subprocess.CompletedProcess[str]:
    values = {name: value for name, value in os.environ.items() if not name.startswith("LABCTL_")}
    values |= {"LABCTL_HOME": str(HOME), "LABCTL_WORKSPACES": str(HOME / "work"), **more}
    command = [sys.executable, "-m", "labctl", *args]
    return subprocess.run(command, env=values, capture_output=True, text=True, check=False, timeout=timeout_s)


@pytest.mark.parametrize("folder", LABS, ids=lambda folder: folder.name)
def test_a_lab_is_valid_and_complete(folder: Path) -> None:
    assert problems(folder) == []
    lab = load_folder(folder)
    assert sum(criterion.points for criterion in lab.spec.criteria) == 100
    assert all(criterion.source for criterion in lab.spec.criteria)
    assert set(lab.spec.profiles) == {"cpu", "gpu"}


@pytest.fixture
def engine(docker_engine: DockerClient, base_image: str) -> str:
    """A real Docker engine; the base that images are built on, for LABCTL_BASE_IMAGE."""
    return base_image


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("folder", shared_out())
def test_a_lab_tells_right_from_wrong(folder: Path) -> None:
    """Starter passes nothing, each mutant fails exactly what it must, the solution passes everything, twice."""
    rounds = assert_proved(labctl("lab", "test", folder.name, "--profile", "cpu", "--json"), folder.name, "local")
    assert rounds[:2] == ["starter", "solution"]
    assert sum(name.startswith("mutant ") for name in rounds) >= 2
    assert rounds[-1] == "solution again"


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.timeout(3600)
@pytest.mark.xdist_group("labs-in-containers")
@pytest.mark.parametrize("folder", in_containers())
def test_a_lab_tells_right_from_wrong_in_containers(folder: Path, engine: str) -> None:
    """Starter and solution on a Docker engine, images built where it lacks them; that mutants fail is shown without one."""
    arguments = ("lab", "test", folder.name, "--runtime", "docker", "--profile", "cpu", "--json")
    only = ("--only", "starter", "--only", "solution")
    result = labctl(*arguments, *only, timeout_s=3500, LABCTL_BASE_IMAGE=engine)
    assert assert_proved(result, folder.name, "docker") == ["starter", "solution"]


def assert_proved(result: subprocess.CompletedProcess[str], lab: str, runtime: str) -> list[str]:
    """Every round of `lab test` went as it must, and nothing is left running; the rounds' names."""
    assert result.returncode in (0, 1), result.stdout + result.stderr
    answer = json.loads(result.stdout)
    problems = {each["name"]: each["problems"] for each in answer["rounds"] if each["problems"]}
    assert problems == {}
    left = json.loads(labctl("status", "--json").stdout)["sessions"]
    assert [each["session"] for each in left if (each["lab"], each["runtime"]) == (lab, runtime)] == []
    return [each["name"] for each in answer["rounds"]]
