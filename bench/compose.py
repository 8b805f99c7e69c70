"""The peer of a lab on Docker: docker-compose with the file that `labctl render` writes for the lab."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import docker

from bench.measure import LABCTL, once

_POLL_S = 0.02
_DEADLINE_S = 120


class Compose:
    """A project in `folder`. `last` is the service that waits for all others; `interval` takes the place of the file's time between two looks at a service's health."""

    def __init__(self, folder: Path, lab: str, last: str, env: Mapping[str, str], *, interval: str | None) -> None:
        (folder / "workspace").mkdir(parents=True)
        (folder / "workspace" / "index.html").write_text("hello\n")
        folder.chmod(0o755)
        text = subprocess.run(
            [LABCTL, "render", lab, "--format", "compose"], env=dict(env), capture_output=True, check=True, text=True
        )
        file = re.sub(r"(?m)^(\s+interval:) .*$", rf"\1 {interval}", text.stdout) if interval else text.stdout
        (folder / "compose.yaml").write_text(file)
        self._project = f"labctl-bench-{folder.name}"
        self._command = ["docker-compose", "-p", self._project, "-f", str(folder / "compose.yaml")]
        self._last = last
        self._env = {**os.environ, **{name: str(_free_port()) for name in re.findall(r"LABCTL_PORT_\w+", file)}}
        self._api: Any = docker.APIClient()

    def up(self) -> float:
        """Seconds until the last service is healthy: docker-compose 1 has no `--wait`."""
        begun = time.perf_counter()
        once([*self._command, "up", "-d"], self._env)
        while not self._is_healthy():
            if time.perf_counter() - begun > _DEADLINE_S:
                raise SystemExit(f"{self._last} is not healthy after {_DEADLINE_S} s")
            time.sleep(_POLL_S)
        return time.perf_counter() - begun

    def down(self) -> float:
        """Seconds until everything of it is gone."""
        return once([*self._command, "down"], self._env)

    def _is_healthy(self) -> bool:
        labels = [f"com.docker.compose.project={self._project}", f"com.docker.compose.service={self._last}"]
        return bool(self._api.containers(filters={"label": labels, "health": "healthy"}))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
