"""`labctl host` on one machine, as a person types it, and what it answered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.hosts.machines import Machine

TIMEOUT_S = 600
INVENTORY = """\
[lab_hosts]
lab ansible_host={name} ansible_connection=community.docker.docker_api
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The last line of `--json`, and everything that was written."""

    code: int
    text: str
    host: Mapping[str, Any]

    @property
    def changed(self) -> list[str]:
        """`role: task` of all that changed, or that a check would change."""
        return [f"{each['role']}: {each['task']}" for each in self.host["changes"]]

    @property
    def said(self) -> list[str]:
        """What those tasks said of themselves."""
        return [each["said"] for each in self.host["changes"] if each["said"]]


def labctl_host(verb: str, machine: Machine, folder: Path, **variables: object) -> Answer:
    """All roles of labctl's own playbook. `folder` is that of the labctl which prepares, and the same for every run."""
    inventory, values = folder / "lab.ini", folder / "values.json"
    inventory.write_text(INVENTORY.format(name=machine.name))
    values.write_text(json.dumps({"labctl_min_free_gib": 1, **variables}))
    given = ["--inventory", str(inventory), "--extra-vars", f"@{values}", "--json"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LABCTL_", "ANSIBLE_"))}
    ran = subprocess.run(
        [sys.executable, "-m", "labctl", "host", verb, *given],
        capture_output=True,
        text=True,
        check=False,
        env={**kept, "LABCTL_HOME": str(folder / "home")},
        timeout=TIMEOUT_S,
    )
    assert ran.stdout, ran.stderr
    answer = json.loads(ran.stdout.splitlines()[-1])
    assert "hosts" in answer, answer
    return Answer(code=ran.returncode, text=ran.stdout + ran.stderr, host=answer["hosts"]["lab"])
