"""A lab in a temporary folder that runs on the local runtime, and what tests ask about it."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from labctl.labs.lab import load_folder
from labctl.plan import Plan
from labctl.planning import plan
from labctl.progress import Step
from labctl.runtimes.base import Handle, ServiceState, Started
from labctl.runtimes.folder import SessionFolder
from labctl.runtimes.local import processes
from labctl.runtimes.local.runtime import LocalRuntime
from labctl.target import Target

LAB = """\
title: A lab of the tests
stage: 0
minutes: 1
profiles: {{cpu: {{{profile}}}}}
workspace: {{{workspace}}}
{services}
criteria:
  - {{id: there, text: The page is there, points: 1, hint: Look, checks: [{{file: {{path: page}}}}]}}
"""

WEB = """\
web:
  command: [python3, -m, http.server, "{{ port('http') }}", --bind, 127.0.0.1]
  ports: {http: 8000}
  healthcheck: {http: /, timeout: 20s, interval: 50ms}
"""


class LocalLab:
    """A session of a lab whose file holds `services`; `again` rewrites the file, as an edit of the lab would."""

    def __init__(
        self,
        folder: Path,
        runtime: LocalRuntime,
        services: str,
        *,
        profile: str = "memory: 1MiB, disk: 1MiB",
        workspace: str = "",
    ) -> None:
        self.runtime = runtime
        self.folder = folder / "labs" / "demo"
        self.workspace = folder / "workspace"
        self.home = folder / "home"
        self.steps: list[Step] = []
        self._profile, self._workspace = profile, workspace
        self.folder.mkdir(parents=True, exist_ok=True)
        self.workspace.mkdir(exist_ok=True)
        self.session = "demo--ada"
        self.again(services or WEB)

    def again(self, services: str) -> None:
        body = textwrap.indent(textwrap.dedent(services), "  ")
        text = LAB.format(profile=self._profile, workspace=self._workspace, services=f"services:\n{body}")
        (self.folder / "lab.yaml").write_text(text)

    def script(self, name: str, text: str) -> None:
        """A Python program in the workspace."""
        (self.workspace / name).write_text(textwrap.dedent(text))

    def plan(self) -> Plan:
        lab = load_folder(self.folder)
        layout = self.runtime.layout(lab, self.session, self.workspace)
        return plan(lab, learner="ada", profile="cpu", layout=layout)

    def up(self) -> Started:
        return self.runtime.up(self.plan(), self.steps.append)

    def down(self) -> None:
        self.runtime.down({"session": self.session}, self.steps.append)

    @property
    def handle(self) -> Handle:
        return {"session": self.session}

    def state(self, service: str = "web") -> ServiceState:
        return next(state for state in self.runtime.state(self.handle) if state.name == service)

    def target(self) -> Target:
        return self.runtime.target(self.handle)

    def log(self, service: str = "web") -> str:
        return self.target().logs(service)

    def pids(self, **marks: str) -> list[int]:
        """Processes of this session, found by their environment; `LABCTL_SERVICE="web"` narrows it."""
        found = processes.find({**SessionFolder(self.home, self.session).marks, **marks})
        return [process.pid for process in found]

    def pid(self, service: str = "web") -> int:
        return self.pids(LABCTL_SERVICE=service)[0]

    def supervisor_pid(self) -> int:
        return int((self.home / "sessions" / self.session / "supervisord.pid").read_text())


def until(holds: Callable[[], bool], *, within_s: float = 20.0) -> None:
    """Return as soon as `holds()`; AssertionError when it does not in time."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and only waits for its parent does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
