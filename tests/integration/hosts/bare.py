"""Two bare machines, as containers with Python and sudo in which nothing runs, and a course of obstacles to prepare them with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

COURSE = Path(__file__).with_name("course") / "site.yml"
Result = subprocess.CompletedProcess[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Machines:
    """Machines by their names in the inventory, and the folder of the labctl that prepares them."""

    containers: dict[str, Container]
    folder: Path

    @property
    def inventory(self) -> Path:
        return self.folder / "inventory.ini"

    def command(self, verb: str, *args: str) -> list[str]:
        """`labctl host VERB` of the course on these machines."""
        given = [] if "--resume" in args else ["--inventory", str(self.inventory), "--playbook", str(COURSE)]
        return [sys.executable, "-m", "labctl", "host", verb, *given, *args]

    @property
    def environment(self) -> dict[str, str]:
        values = {name: value for name, value in os.environ.items() if not name.startswith(("LABCTL_", "ANSIBLE_"))}
        return {**values, "LABCTL_HOME": str(self.folder / "home"), "SOME_SECRET": "swordfish"}

    def labctl(self, verb: str, *args: str) -> Result:
        return subprocess.run(
            self.command(verb, *args), capture_output=True, text=True, check=False, env=self.environment, timeout=120
        )

    def lines(self, verb: str, *args: str) -> list[dict[str, Any]]:
        """The lines of `--json`; the last is the answer."""
        result = self.labctl(verb, "--json", *args)
        assert result.stdout, result.stderr
        return [json.loads(line) for line in result.stdout.splitlines()]

    def run(self, name: str, command: str) -> str:
        """What a command on one of them writes."""
        _, output = self.containers[name].exec_run(["sh", "-c", command])
        return bytes(output).decode()  # type: ignore[arg-type]  # not a stream of them, as was not asked for

    def kept_in(self, word: str) -> list[Path]:
        """The files below LABCTL_HOME that hold it."""
        files = (file for file in (self.folder / "home").rglob("*") if file.is_file())
        return [file for file in files if word in file.read_text(errors="replace")]

    def has(self, name: str, file: str) -> bool:
        code, _ = self.containers[name].exec_run(["test", "-e", f"/root/{file}"])
        return bool(code == 0)


@pytest.fixture(scope="module")
def machines(
    docker_engine: DockerClient, systemd_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machines]:
    """Two of them, `one` and `two`, for all tests of a module."""
    pytest.importorskip("ansible_runner", reason="needs Ansible: pip install 'labctl[hosts]'")
    names = {name: f"labctl-host-{name}-{uuid.uuid4().hex[:8]}" for name in ("one", "two")}
    made = Machines(containers={}, folder=tmp_path_factory.mktemp("hosts"))
    try:
        for name, container in names.items():
            made.containers[name] = docker_engine.containers.run(
                systemd_image,
                ["sleep", "infinity"],
                name=container,
                detach=True,
                init=True,
                labels={"labctl.test": "hosts"},
            )
        made.inventory.write_text(inventory(names))
        yield made
    finally:
        for machine in made.containers.values():
            machine.remove(force=True)


def inventory(containers: dict[str, str]) -> str:
    """Hosts that are containers, as Ansible reads them."""
    rows = [f"{name} ansible_host={container}" for name, container in containers.items()]
    options = ["ansible_connection=community.docker.docker", "ansible_python_interpreter=/usr/bin/python3"]
    return "\n".join(["[lab_hosts]", *rows, "[lab_hosts:vars]", *options, ""])
