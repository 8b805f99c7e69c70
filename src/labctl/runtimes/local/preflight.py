"""What keeps a plan from running on this host."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.disk import nearest
from labctl.errors import PreflightError
from labctl.runtimes.base import Problem
from labctl.runtimes.cache import is_complete
from labctl.runtimes.local import envs
from labctl.runtimes.memory import available_memory_mib
from labctl.units import format_mib

if TYPE_CHECKING:
    from labctl.plan import Plan

_MIB = 1024 * 1024


def problems(plan: Plan, home: Path, *, is_running: bool) -> Iterator[Problem]:
    """Every problem; `is_running`: the session's services have their memory already."""
    yield from _not_writable(home, "set LABCTL_HOME to a folder that is yours")
    yield from _not_writable(Path(plan.workspace.path), "give another folder with --workspace")
    yield from _uv(plan)
    if not all(is_complete(folder) for folder in _made_once(plan, home)):
        yield from _disk(plan, home)
    if not is_running:
        yield from _memory(plan)
    for service in plan.services:
        if not service.command:
            yield Problem(
                what=f"service {service.name} has no command, only an image: it cannot run as a plain process",
                hint="use --runtime docker, or give the service a command",
            )
    if plan.gpu and not plan.allocation:
        yield Problem(
            what="the gpu profile needs a GPU, and none is allocated",
            hint="`labctl gpu list` says why; or use `--profile cpu`",
        )


def _made_once(plan: Plan, home: Path) -> list[Path]:
    return [envs.folder(home, env) for env in plan.envs] + [Path(model.path) for model in plan.models]


def _not_writable(folder: Path, hint: str) -> Iterator[Problem]:
    place = nearest(folder)
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        yield Problem(what=f"{folder} cannot be written ({place} is not writable by user {os.getuid()})", hint=hint)


def _uv(plan: Plan) -> Iterator[Problem]:
    try:
        if plan.envs:
            envs.uv_binary()
    except PreflightError as error:
        yield Problem(what=error.what, hint=error.hint)


def _disk(plan: Plan, home: Path) -> Iterator[Problem]:
    free = shutil.disk_usage(nearest(home)).free // _MIB
    if free < plan.disk_mib:
        yield Problem(
            what=f"{plan.lab} needs {format_mib(plan.disk_mib)} of disk; {home} has {format_mib(free)} free",
            hint="free some space, or set LABCTL_HOME to a larger disk",
        )


def _memory(plan: Plan) -> Iterator[Problem]:
    free = available_memory_mib()
    if free < plan.memory_mib:
        yield Problem(
            what=f"{plan.lab} needs {format_mib(plan.memory_mib)} of memory; {format_mib(free)} is available",
            hint="end other programs or sessions (`labctl status`)",
        )
