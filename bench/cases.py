"""The benchmarks. Each takes an empty folder and returns figures: seconds (`_s`), MiB (`_mib`) and ratios (`_ratio`)."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from bench.labs import write_labs
from bench.measure import FLOOR, LABCTL, PYTHON, environment, medians, once, peak_mib

SESSIONS = 200
CHECKS = 100


def startup(folder: Path) -> dict[str, Any]:
    """Aim: at most 1.3 times `import typer`."""
    env = environment(folder)
    seconds = medians({"floor": FLOOR, "help": [LABCTL, "--help"], "list": [LABCTL, "list"]}, env, runs=21)
    return {f"{name}_s": value for name, value in seconds.items()} | {
        f"{name}_ratio": round(seconds[name] / seconds["floor"], 2) for name in ("help", "list")
    }


def up_again(folder: Path) -> dict[str, Any]:
    """Aim: under 0.5 s."""
    with _running(folder, 1) as (env, ids):
        seconds = medians({"floor": FLOOR, "up_again": [LABCTL, "up", ids[0]]}, env)
    return {
        "floor_s": seconds["floor"],
        "up_again_s": seconds["up_again"],
        "ratio": round(seconds["up_again"] / seconds["floor"], 2),
    }


def status(folder: Path) -> dict[str, Any]:
    """Aim: under 0.5 s with 200 sessions."""
    with _running(folder, SESSIONS) as (env, _):
        seconds = medians({"floor": FLOOR, "status": [LABCTL, "status"]}, env, runs=7)
    return {"sessions": SESSIONS, "floor_s": seconds["floor"], "status_s": seconds["status"]}


def grading(folder: Path) -> dict[str, Any]:
    """Aim: under 5 ms a check."""
    ids = write_labs(folder / "labs", 1, criteria=CHECKS, service=False)
    env = environment(folder, LABCTL_LABS=str(folder / "labs"))
    once([LABCTL, "up", ids[0]], env)
    took = []
    for _ in range(5):
        shown = subprocess.run([LABCTL, "verify", ids[0], "--json"], env=env, capture_output=True, check=True)
        took.append(json.loads(shown.stdout)["duration_s"])
    whole = medians({"verify": [LABCTL, "verify", ids[0]]}, env, runs=5)["verify"]
    once([LABCTL, "down", ids[0]], env)
    return {
        "checks": CHECKS,
        "grading_s": min(took),
        "a_check_ms": round(min(took) / CHECKS * 1000, 2),
        "whole_verify_s": whole,
    }


def planning(folder: Path) -> dict[str, Any]:
    """Aim: linear, the same time a lab whatever the number."""
    figures: dict[str, Any] = {}
    for count in (100, 300, 1000):
        labs = folder / str(count)
        write_labs(labs, count)
        begun = time.perf_counter()
        subprocess.run([PYTHON, "-c", _PLAN_ALL, str(labs)], env=environment(folder), check=True)
        figures[f"{count}_labs_ms_each"] = round((time.perf_counter() - begun) / count * 1000, 2)
    return figures


_PLAN_ALL = """
import pathlib, sys
from labctl.labs.lab import load_folder
from labctl.planning import declared_layout, plan
for folder in pathlib.Path(sys.argv[1]).iterdir():
    lab = load_folder(folder)
    plan(lab, learner="bench", profile="cpu", layout=declared_layout(lab))
"""


def memory(folder: Path) -> dict[str, Any]:
    """Aims: list under 60 MiB, a supervisor under 40 MiB, verify under 150 MiB."""
    with _running(folder, 1) as (env, ids):
        session = f"{ids[0]}--bench"
        supervisors = [
            process.memory_info().rss / 1024 / 1024
            for process in _of_session(session)
            if "supervisord" in " ".join(process.cmdline())
        ]
        return {
            "list_peak_mib": peak_mib([LABCTL, "list"], env),
            "verify_peak_mib": peak_mib([LABCTL, "verify", ids[0]], env),
            "supervisor_mib": round(max(supervisors), 1),
        }


def demo(folder: Path) -> dict[str, Any]:
    """Aim: within 8 GiB. The environment and the model are made anew; uv's cache may be warm."""
    env = environment(folder)
    lab = "stage2-finetune"
    parts = {
        "first_up": [LABCTL, "up", lab, "--profile", "cpu"],
        "second_up": [LABCTL, "up", lab],
        "solve": [LABCTL, "lab", "solve", lab, "--yes"],
        "verify": [LABCTL, "verify", lab],
        "down": [LABCTL, "down", lab],
    }
    figures: dict[str, Any] = {}
    with _peak(f"{lab}--bench") as peak:
        for name, command in parts.items():
            figures[f"{name}_s"] = round(once(command, env), 1)
    return figures | {"peak_mib": round(max(peak))}


@contextmanager
def _running(folder: Path, count: int) -> Iterator[tuple[dict[str, str], list[str]]]:
    """`count` sessions, running."""
    ids = write_labs(folder / "labs", count)
    env = environment(folder, LABCTL_LABS=str(folder / "labs"))
    try:
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            list(pool.map(lambda id: once([LABCTL, "up", id], env), ids))
        yield env, ids
    finally:
        once([LABCTL, "down", "--all"], env)


@contextmanager
def _peak(session: str) -> Iterator[list[float]]:
    """MiB that all processes of a session have together (proportional set size), sampled twice a second."""
    samples, done = [0.0], threading.Event()

    def sample() -> None:
        while not done.wait(0.5):
            samples.append(sum(_pss_mib(process) for process in _of_session(session)))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        done.set()
        thread.join()


def _of_session(session: str) -> list[psutil.Process]:
    """Its processes and all below them: vLLM's workers write their names over their environment."""
    found = {}
    for process in psutil.process_iter():
        try:
            if process.environ().get("LABCTL_SESSION") == session:
                found.update({member.pid: member for member in (process, *process.children(recursive=True))})
        except (psutil.Error, OSError):
            continue
    return list(found.values())


def _pss_mib(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().pss) / 1024 / 1024
    except (psutil.Error, OSError):
        return 0.0
