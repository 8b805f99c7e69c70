"""`labctl host check` of twenty hosts, against plain `ansible -m setup` of the same ones. Needs a Docker engine and Ansible."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker

from bench.docker import IMAGE
from bench.measure import LABCTL, PYTHON, environment, once

HOSTS = int(os.environ.get("BENCH_HOSTS", "20"))
ROUNDS = 3
LACKING = 4
GATHER = """\
- name: Ask machines what they are
  hosts: lab_hosts
  gather_facts: true
"""


def hosts(folder: Path) -> dict[str, Any]:
    """Aim: the gathering part at most 1.5 times `ansible -m setup`."""
    (folder / "gather.yml").write_text(GATHER)
    env = environment(folder, ANSIBLE_HOST_KEY_CHECKING="False")
    with _machines(folder / "inventory.ini"):
        taken = _rounds(_commands(folder), env)
        whole_s, tasks = _whole(folder, env)
    mine, peer = (round(statistics.median(taken[name]), 2) for name in ("labctl", "setup"))
    return {
        "hosts": HOSTS,
        "gather_s": mine,
        "setup_s": peer,
        "ratio": round(mine / peer, 2),
        "whole_check_s": whole_s,
        "whole_check_tasks": tasks,
    }


def _commands(folder: Path) -> dict[str, Sequence[str]]:
    given = ["-i", str(folder / "inventory.ini"), "--forks", str(HOSTS)]
    return {
        "labctl": [LABCTL, "host", "check", *given, "--playbook", str(folder / "gather.yml")],
        "setup": [str(Path(PYTHON).with_name("ansible")), "lab_hosts", *given, "-m", "setup"],
    }


def _rounds(commands: dict[str, Sequence[str]], env: dict[str, str]) -> dict[str, list[float]]:
    """Seconds of each, taken in turns after one warm-up."""
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(ROUNDS + 1):
        for name, command in commands.items():
            seconds = once(command, env)
            if turn:
                taken[name].append(seconds)
    return taken


def _whole(folder: Path, env: dict[str, str]) -> tuple[float, int]:
    """Seconds of a check of everything, once, and how many tasks it looked at on all hosts together."""
    begun = time.perf_counter()
    command = [LABCTL, "host", "check", "--json", "-i", str(folder / "inventory.ini"), "--forks", str(HOSTS)]
    result = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    seconds = round(time.perf_counter() - begun, 1)
    if result.returncode not in (0, LACKING):
        raise SystemExit(
            f"{' '.join(command)} ended with {result.returncode}: {result.stdout[-500:]}{result.stderr[-500:]}"
        )
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    return seconds, sum(line.get("state") in ("ok", "changed", "skipped") for line in lines)


@contextmanager
def _machines(inventory: Path) -> Iterator[None]:
    client = docker.from_env()
    names = [f"labctl-bench-host-{number}-{uuid.uuid4().hex[:6]}" for number in range(HOSTS)]
    made = []
    try:
        made = [
            client.containers.run(IMAGE, ["sleep", "infinity"], name=name, detach=True, init=True) for name in names
        ]
        options = ["ansible_connection=community.docker.docker", "ansible_python_interpreter=/usr/bin/python3"]
        inventory.write_text("\n".join(["[lab_hosts]", *names, "[lab_hosts:vars]", *options, ""]))
        yield
    finally:
        for container in made:
            container.remove(force=True)
