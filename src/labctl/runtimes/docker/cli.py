"""The `docker` command, for what it does better than an API: a terminal in a container, and a container's streams."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence

from labctl.errors import PreflightError

_PASSED_ON = ("HOME", "PATH", "TERM", "XDG_RUNTIME_DIR", "DOCKER_CONFIG", "LANG")


def found() -> bool:
    """Whether there is a `docker` command."""
    return shutil.which("docker") is not None


def environment(socket: str) -> dict[str, str]:
    """What the command runs with, so that it speaks to the same engine as we do."""
    return {**{name: os.environ[name] for name in _PASSED_ON if name in os.environ}, "DOCKER_HOST": socket}


def attach(container: str) -> list[str]:
    """The command that starts a container and lends it our streams; its exit code is the container's."""
    return [_docker(), "start", "--attach", "--interactive", container]


def remove(container: str) -> list[str]:
    """The command that ends and removes a container."""
    return [_docker(), "rm", "--force", "--volumes", container]


def execute(container: str, command: Sequence[str], *, cwd: str, env: Mapping[str, str]) -> list[str]:
    """The command that runs `command` in a running container, with a terminal when we have one."""
    flags = ["--interactive", "--workdir", cwd]
    if has_terminal():
        flags.append("--tty")
    for name, value in env.items():
        flags += ["--env", f"{name}={value}"]
    return [_docker(), "exec", *flags, container, *command]


def has_terminal() -> bool:
    """Whether a command that we run in a container gets a terminal, and with it the keys that are pressed, Ctrl-C too."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def end_marked(container: str, mark: str) -> list[str]:
    """The command that ends whatever bears `mark` in its environment in a container, given a shell there."""
    script = 'for p in /proc/[0-9]*; do grep -qs "$0" $p/environ && kill "${p#/proc/}"; done'
    return [_docker(), "exec", container, "sh", "-c", script, mark]


def _docker() -> str:
    path = shutil.which("docker")
    if path is None:
        raise PreflightError(
            "there is no `docker` command on PATH",
            "install it: `sudo apt-get install docker-ce-cli` (or docker.io, which brings it)",
        )
    return path
