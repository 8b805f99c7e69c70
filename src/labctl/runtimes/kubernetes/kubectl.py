"""The `kubectl` command, for what it does better than an API client: a terminal in a container, and a container's streams."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence

from labctl.errors import PreflightError
from labctl.runtimes.kubernetes.streams import Place

_ENTER = 'cd "$0" && exec "$@"'


def environment(kubeconfig: str | None) -> dict[str, str]:
    """What the command runs with, so that it speaks to the same cluster as we do; plugins for logins need all of ours."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("LABCTL_")}
    return {**ours, **({"KUBECONFIG": kubeconfig} if kubeconfig else {})}


def execute(
    place: Place, command: Sequence[str], *, cwd: str, env: Mapping[str, str], enter: str = _ENTER
) -> list[str]:
    """The command that runs `command` in a running container, with a terminal when we have one; `enter` is how, in a shell."""
    streams = ["--stdin", *(["--tty"] if has_terminal() else [])]
    inside = ["env", *(f"{name}={value}" for name, value in env.items()), "sh", "-c", enter, cwd, *command]
    return [*_exec(place, *streams), *inside]


def has_terminal() -> bool:
    """Whether a command that we run in a container gets a terminal, and with it the keys that are pressed, Ctrl-C too."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def end_marked(place: Place, mark: str) -> list[str]:
    """The command that ends whatever bears `mark` in its environment in a container, given a shell there."""
    script = 'for p in /proc/[0-9]*; do grep -qs "$0" $p/environ && kill "${p#/proc/}"; done'
    return [*_exec(place), "sh", "-c", script, mark]


def delete_pod(namespace: str, name: str) -> list[str]:
    """The command that ends a pod at once."""
    return [_kubectl(), "--namespace", namespace, "delete", "pod", name, "--now", "--wait=false", "--ignore-not-found"]


def _exec(place: Place, *flags: str) -> list[str]:
    where = ["--namespace", place.namespace, place.pod, "--container", place.container]
    return [_kubectl(), "exec", *flags, *where, "--"]


def _kubectl() -> str:
    path = shutil.which("kubectl")
    if path is None:
        raise PreflightError(
            "there is no `kubectl` command on PATH", "install it: https://kubernetes.io/docs/tasks/tools/"
        )
    return path
