"""The script for machines with a real GPU, on machines without one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]


def _run(library: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "LABCTL_NVML_LIBRARY": library}
    command = [sys.executable, "-m", "bench.gpu_real", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)


def test_without_a_gpu_it_says_why_and_ends_with_4(play_file: Callable[[str], str]) -> None:
    run = _run(play_file("none"))
    assert (run.returncode, run.stdout) == (4, "")
    assert run.stderr.startswith("There is no GPU to compare with: The NVIDIA driver is loaded and sees no GPU")
    gone = _run("/nowhere/libnvidia-ml.so.1")
    assert gone.returncode == 4
    assert "LABCTL_NVML_LIBRARY" in gone.stderr


def test_what_cannot_be_compared_is_no_disagreement(play_file: Callable[[str], str], tmp_path: Path) -> None:
    run = _run(play_file("mixed-mig"), "--into", str(tmp_path))
    assert run.returncode in (0, 1), run.stderr  # 1 on a machine with a GPU, which has other UUIDs
    (path,) = tmp_path.iterdir()
    written = json.loads(path.read_text())
    assert written["timings"]["gpus"] == len(written["inventory"]["gpus"]) == 3
    unable = [finding for finding in written["findings"] if finding["ok"] is None]
    assert all(finding["seen"] for finding in unable)
