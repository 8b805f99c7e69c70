"""`labctl host check` of twenty hosts, against plain `ansible -m setup` of the same ones. Needs a Docker engine and Ansible."""

from __future__ import annotations

import os
import statistics
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
    mine, peer = (round(statistics.median(taken[name]), 2) for name in ("labctl", "setup"))
    return {
        "hosts": HOSTS,
        "gather_s": mine,
        "setup_s": peer,
        "ratio": round(mine / peer, 2),
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


@contextmanager
def _machines(inventory: Path) -> Iterator[None]:
    client = docker.from_env()
    names = [f"labctl-bench-host-{number}-{uuid.uuid4().hex[:6]}" for number in range(HOSTS)]
    made = []
    try:
        made = [
            client.containers.run(IMAGE, ["sleep", "infinity"], name=name, detach=True, init=True) for name in names
        ]
        options = [
            "ansible_connection=community.docker.docker",
            "ansible_python_interpreter=/usr/bin/python3",
            "ansible_become=false",
        ]
        inventory.write_text("\n".join(["[lab_hosts]", *names, "[lab_hosts:vars]", *options, ""]))
        yield
    finally:
        for container in made:
            container.remove(force=True)
