"""What every scenario becomes, letter by letter: the inventory, its sentences, and the table of `labctl gpu list`.

`UPDATE_GOLDEN=1 pytest tests/nvml/test_golden.py` writes the files anew. A scenario's .log is the kernel's, which labctl
reads of the machine it runs on: what follows from it is in the inventory's files only.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from labctl.gpus import answers, driver, surroundings
from labctl.gpus.inventory import Inventory
from tests.nvml.library import SCENARIOS

GOLDEN = Path(__file__).parents[1] / "golden" / "gpu"
NAMES = sorted(path.stem for path in SCENARIOS.glob("*.json"))
HANGING = ("hangs", "one-hangs")
"""Not played to the command, which gives a driver 15 seconds."""
LABCTL = Path(sys.executable).with_name("labctl")

pytestmark = pytest.mark.skipif(
    surroundings.place() == "wsl", reason="drivers in WSL tell no processes: compare the golden files on Linux"
)


@pytest.fixture(autouse=True)
def no_multi_process_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))


@pytest.mark.parametrize("name", NAMES)
def test_the_inventory_of_a_scenario_is_the_golden_one(name: str, play_file: Callable[[str], str]) -> None:
    inventory = _inventory(name, play_file(name))
    values = json.dumps(asdict(inventory), indent=1, ensure_ascii=False) + "\n"
    _compare(GOLDEN / f"{name}.json", _of_any_machine(name, values))
    _compare(GOLDEN / f"{name}.sentences.txt", _of_any_machine(name, _sentences(inventory)))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in HANGING])
def test_the_list_of_a_scenarios_gpus_is_the_golden_one(
    name: str, play_file: Callable[[str], str], tmp_path: Path
) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LABCTL_")}
    own = {"LABCTL_HOME": str(tmp_path / "home"), "LABCTL_NVML_LIBRARY": play_file(name), "LABCTL_LEARNER": "ada"}
    env = {**kept, **own, "FAKE_NVML": str(SCENARIOS / f"{name}.json"), "NO_COLOR": "1", "COLUMNS": "200"}
    run = subprocess.run([str(LABCTL), "gpu", "list"], env=env, cwd=tmp_path, capture_output=True, text=True)
    _compare(GOLDEN / f"{name}.txt", _of_any_machine(name, f"{run.stdout}{run.stderr}exit code {run.returncode}\n"))


def test_every_golden_file_is_of_a_scenario() -> None:
    known = {f"{name}{kind}" for name in NAMES for kind in (".json", ".txt", ".sentences.txt")}
    assert not sorted(path.name for path in GOLDEN.iterdir() if path.name not in known)


def _inventory(name: str, library: str) -> Inventory:
    log = SCENARIOS / f"{name}.log"
    answer = driver.finish(driver.start(library), deadline_s=2 if name in HANGING else 60)
    return answers.inventory(answer, library, log.read_text() if log.exists() else "")


def _sentences(inventory: Inventory) -> str:
    lines = [inventory.problem or f"driver {inventory.driver}, CUDA {inventory.cuda}"]
    for gpu in inventory.gpus:
        lines.append(f"GPU {gpu.index} ({gpu.name}): {'well' if gpu.health.ok else 'not to be used'}")
        lines += [f"  {reason}" for reason in gpu.health.reasons]
    return "\n".join(lines) + "\n"


def _of_any_machine(name: str, text: str) -> str:
    text = re.sub(r"\(kernel module [^,]+, library", "(kernel module KERNEL, library", text)
    if name == "integrated":  # its memory is the machine's
        text = re.sub(r'("memory_(?:total|free)_mib": )\d+', r"\1MACHINE", text)
        text = re.sub(r" +[\d.]+(?: [MGT]iB)? of [\d.]+ [MGT]iB +", " FREE OF MACHINE ", text)
        text = re.sub(r"(?<=\S) {2,}", "  ", text)  # the columns are as wide as what they hold
    return text


def _compare(path: Path, text: str) -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"UPDATE_GOLDEN=1 pytest {Path(__file__).name} writes it anew"
