"""Our playbooks run on machines by Ansible itself, and what each task of a run came to."""

from __future__ import annotations

import os
import ssl
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.hosts.machines import Machine

PLAYBOOKS = Path(__file__).resolve().parents[3] / "playbooks"
_STATES = {"runner_on_ok": "ok", "runner_on_failed": "failed", "runner_on_unreachable": "unreachable"}
# That an item failed is told again with its task, and only there whether this was a failure.
_EACH = {"runner_item_on_ok": "ok"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What one task, or one item of its loop, came to on one machine."""

    host: str
    role: str
    name: str
    state: str
    """ok, changed, failed, ignored (failed, and it was said beforehand that this is no failure) or unreachable."""
    message: str
    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A run that is over."""

    tasks: Sequence[Task]
    text: str

    @property
    def changed(self) -> list[str]:
        """`role: task` of all that changed, or in check mode would."""
        return [f"{each.role}: {each.name}" for each in self.tasks if each.state == "changed"]

    @property
    def failures(self) -> list[str]:
        """The messages of what failed; the last is what a person reads first."""
        return [each.message for each in self.tasks if each.state in ("failed", "unreachable")]

    @property
    def messages(self) -> list[str]:
        return [each.message for each in self.tasks if each.message]


def play(
    *machines: Machine,
    tags: str = "",
    check: bool = False,
    playbook: str = "prepare.yml",
    groups: Mapping[str, Sequence[Machine]] | None = None,
    limit: str | None = None,
    **variables: object,
) -> Played:
    """Run a playbook on all of `machines` at once, as root, with `variables` over everything else.

    They are lab hosts; `groups` are further groups of the inventory, whose machines need not be.
    """
    import ansible_runner

    members = {"lab_hosts": machines, **(groups or {})}
    reached = {"ansible_connection": "community.docker.docker_api"}
    with tempfile.TemporaryDirectory() as folder:
        run = ansible_runner.run(
            private_data_dir=folder,
            project_dir=str(PLAYBOOKS),
            playbook=playbook,
            inventory={group: {"hosts": {each.name: reached for each in of}} for group, of in members.items()},
            extravars={"labctl_min_free_gib": 1, **variables},
            tags=tags,
            limit=limit,
            cmdline="--check --diff" if check else "--diff",
            envvars=_environment(folder),
            suppress_env_files=True,
            quiet=True,
        )
        with run.stdout as written:
            return Played(tasks=[*_tasks(run.events)], text=written.read())


def ca_bundle() -> list[str]:
    """What this machine trusts, for machines that reach the same networks."""
    return [file] if (file := ssl.get_default_verify_paths().cafile) else []


def _environment(folder: str) -> dict[str, str]:
    return {
        "ANSIBLE_CONFIG": str(PLAYBOOKS / "ansible.cfg"),
        "ANSIBLE_HOME": folder,
        "ANSIBLE_FORCE_COLOR": "0",
        "ANSIBLE_DEPRECATION_WARNINGS": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


def _tasks(events: Iterator[Mapping[str, Any]]) -> Iterator[Task]:
    for event in events:
        state = _STATES.get(event["event"]) or _EACH.get(event["event"])
        if state is None:
            continue
        data = event["event_data"]
        result = data.get("res") or {}
        if result.get("results") is not None and state == "ok":
            continue  # its items were told one by one
        if state == "failed" and data.get("ignore_errors"):
            state = "ignored"
        elif state == "ok" and result.get("changed"):
            state = "changed"
        yield Task(
            host=data.get("host", ""),
            role=data.get("role", ""),
            name=data.get("task", ""),
            state=state,
            message=_message(result),
            result=result,
        )


def _message(result: Mapping[str, Any]) -> str:
    failed = [str(item.get("msg", "")) for item in result.get("results") or [] if item.get("failed")]
    return "; ".join(failed) or str(result.get("msg", ""))
