"""What slices GPUs: only where something differs, and never under somebody's hands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).resolve().parents[3] / "playbooks" / "roles" / "mig" / "files" / "labctl-mig"
# Answers as nvidia-smi does, and keeps what it was told in a file; a mode that is `stuck` waits for a reset.
NVIDIA_SMI = """#!{python}
import json, pathlib, sys
file = pathlib.Path({file!r})
gpus = json.loads(file.read_text())
args = sys.argv[1:]
if args[0].startswith("--query-gpu"):
    for i, gpu in enumerate(gpus):
        print(i, f"GPU-{{i}}", gpu["mode"], gpu["mode"], sep=", ")
elif args[0].startswith("--query-compute-apps"):
    for i, gpu in enumerate(gpus):
        for pid in gpu["pids"]:
            print(f"GPU-{{i}}, {{pid}}")
elif args[0] == "-L":
    for i, gpu in enumerate(gpus):
        print(f"GPU {{i}}: NVIDIA H100 (UUID: GPU-{{i}})")
        for n, name in enumerate(gpu["slices"]):
            print(f"  MIG {{name}}     Device  {{n}}: (UUID: MIG-{{i}}-{{n}})")
else:
    gpu = gpus[int(args[args.index("-i") + 1])]
    if "-mig" in args and not gpu.get("stuck"):
        gpu["mode"] = "Enabled" if args[-1] == "1" else "Disabled"
    if "-dgi" in args:
        gpu["slices"] = []
    if "-cgi" in args:
        gpu["slices"] = args[args.index("-cgi") + 1].split(",")
    file.write_text(json.dumps(gpus))
"""


class Gpus:
    """GPUs that nvidia-smi tells of, and `labctl-mig` run on them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._state = folder / "gpus.json"
        smi = folder / "nvidia-smi"
        smi.write_text(NVIDIA_SMI.format(python=sys.executable, file=str(self._state)))
        smi.chmod(0o755)

    def are(self, *gpus: dict[str, Any]) -> None:
        self._state.write_text(json.dumps([{"mode": "Disabled", "slices": [], "pids": []} | gpu for gpu in gpus]))

    @property
    def slices(self) -> list[list[str]]:
        return [gpu["slices"] for gpu in json.loads(self._state.read_text())]

    def give(self, layout: list[dict[str, Any]], *options: str) -> subprocess.CompletedProcess[str]:
        file = self._folder / "mig.json"
        file.write_text(json.dumps(layout))
        path = f"{self._folder}{os.pathsep}{os.environ['PATH']}"
        command = [sys.executable, str(PROGRAM), *options, str(file)]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"PATH": path})


@pytest.fixture
def gpus(tmp_path: Path) -> Gpus:
    return Gpus(tmp_path)


HALVES = [{"gpus": "all", "profiles": ["3g.40gb", "3g.40gb"]}]


def test_a_layout_is_made_once(gpus: Gpus) -> None:
    gpus.are({}, {})
    assert gpus.give(HALVES, "--check").returncode == 3
    assert gpus.slices == [[], []]
    assert gpus.give(HALVES).stdout.splitlines() == [f"GPU {i}: whole -> 3g.40gb 3g.40gb" for i in (0, 1)]
    assert gpus.slices == [["3g.40gb"] * 2] * 2
    assert (gpus.give(HALVES, "--check").returncode, gpus.give(HALVES).stdout) == (0, "")


def test_a_later_entry_wins_for_the_gpus_that_it_names(gpus: Gpus) -> None:
    gpus.are({}, {})
    assert gpus.give([*HALVES, {"gpus": ["GPU-1"], "profiles": ["7g.80gb"]}]).returncode == 0
    assert gpus.slices == [["3g.40gb"] * 2, ["7g.80gb"]]


def test_a_gpu_in_use_is_not_touched(gpus: Gpus) -> None:
    gpus.are({"mode": "Enabled", "slices": ["7g.80gb"], "pids": [4711]})
    refused = gpus.give(HALVES)
    assert refused.returncode == 4
    assert "used by processes 4711" in refused.stderr
    assert gpus.slices == [["7g.80gb"]]


def test_a_mode_that_waits_for_a_reset_is_told(gpus: Gpus) -> None:
    gpus.are({"stuck": True})
    refused = gpus.give(HALVES)
    assert refused.returncode == 4
    assert "reboot the host" in refused.stderr


@pytest.mark.parametrize(
    ("gpu", "said"),
    [({"mode": "[N/A]"}, "knows no MIG"), ({}, "there is no GPU 7; there are 0")],
    ids=["old", "absent"],
)
def test_what_cannot_be_sliced_is_named(gpus: Gpus, gpu: dict[str, Any], said: str) -> None:
    gpus.are(gpu)
    refused = gpus.give([{"gpus": [7 if said.startswith("there") else 0], "profiles": ["1g.10gb"]}])
    assert refused.returncode == 4
    assert said in refused.stderr
