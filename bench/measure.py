"""How the benchmarks measure: whole processes, interleaved, medians."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

PYTHON = sys.executable
LABCTL = str(Path(sys.executable).with_name("labctl"))
FLOOR = [PYTHON, "-c", "import typer"]


def environment(home: Path, **more: str) -> dict[str, str]:
    """A labctl of its own below `home`; bytecode is used, as it is by everybody."""
    values = {name: value for name, value in os.environ.items() if not name.startswith("LABCTL_")}
    values.pop("PYTHONDONTWRITEBYTECODE", None)
    own = {"LABCTL_HOME": str(home / "home"), "LABCTL_WORKSPACES": str(home / "work"), "LABCTL_LEARNER": "bench"}
    return {**values, **own, **more}


def medians(commands: Mapping[str, Sequence[str]], env: Mapping[str, str], *, runs: int = 11) -> dict[str, float]:
    """Median wall-clock seconds of each command, taken in turns after one warm-up."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(runs + 1):
        for name, command in commands.items():
            seconds = once(command, env)
            if turn:
                times[name].append(seconds)
    return {name: round(statistics.median(values), 4) for name, values in times.items()}


def once(command: Sequence[str], env: Mapping[str, str]) -> float:
    """Wall-clock seconds of one run, which must succeed."""
    begun = time.perf_counter()
    subprocess.run(command, env=dict(env), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begun


def peak_mib(command: Sequence[str], env: Mapping[str, str], accepted: Sequence[int] = (0,)) -> float:
    """Peak resident memory in MiB of the process that `command` starts (its own children not counted)."""
    program = (
        "import os, resource, subprocess, sys\n"
        "pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])\n"
        "_, status, usage = os.wait4(pid, 0)\n"
        "print(os.waitstatus_to_exitcode(status), usage.ru_maxrss)"
    )
    run = subprocess.run([PYTHON, "-c", program, *command], env=dict(env), check=True, capture_output=True, text=True)
    code, kib = map(int, run.stdout.split())
    if code not in accepted:
        raise SystemExit(f"{' '.join(command)} ended with {code}: {run.stderr[-500:]}")
    return round(kib / 1024, 1)
