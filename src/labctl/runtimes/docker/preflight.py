"""What keeps a plan from running on the engine of this host."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from labctl.disk import nearest
from labctl.errors import LabctlError
from labctl.images import catalog
from labctl.images.names import is_ours
from labctl.runtimes.base import Problem
from labctl.runtimes.docker import cli, toolkit
from labctl.runtimes.docker.engine import Engine
from labctl.runtimes.docker.parts import image_of_workspace
from labctl.runtimes.memory import available_memory_mib
from labctl.units import format_mib

if TYPE_CHECKING:
    from labctl.plan import Plan

_MIB = 1024 * 1024
_MADE = ".labctl"
"""In a workspace that labctl has taken in hand."""


def problems(plan: Plan, engine: Engine, *, is_running: bool) -> Iterator[Problem]:
    """Every problem; `is_running`: the session's containers have their memory already. Raises EngineError."""
    if not cli.found():
        yield Problem(
            what="there is no `docker` command on PATH",
            hint="install it: `sudo apt-get install docker-ce-cli` (or docker.io, which brings it)",
        )
    yield from _workspace(plan)
    yield from _images(plan)
    yield from _model(plan)
    if not is_running:
        yield from _memory(plan, engine)
        yield from _disk(plan, engine)
    if plan.allocation:
        yield from toolkit.problems([gpu.uuid for gpu in plan.allocation.gpus], engine.info)
    if plan.gpu and not plan.allocation:
        yield Problem(
            what="the gpu profile needs a GPU, and none is allocated",
            hint="`labctl gpu list` says why; or use `--profile cpu`",
        )


def _workspace(plan: Plan) -> Iterator[Problem]:
    """A folder of root's that labctl did not make: containers could not write it, and giving it away is not ours to decide."""
    folder = Path(plan.workspace.source or plan.workspace.path)
    is_roots = os.geteuid() == 0 and folder.is_dir() and folder.stat().st_uid == 0
    if is_roots and not (folder / _MADE).exists() and any(folder.iterdir()):
        yield Problem(
            what=f"{folder} belongs to root, and a session's containers do not run as root",
            hint=f"give it to its learner (`chown -R 1000:1000 {folder}`), or choose a folder that does not exist yet",
        )


def _images(plan: Plan) -> Iterator[Problem]:
    for service in plan.services:
        if not service.image:
            yield Problem(
                what=f"service {service.name} names no image",
                hint=f"give services.{service.name}.image in the lab file, or use --runtime local",
            )
    if not image_of_workspace(plan):
        yield Problem(
            what="the lab names no image for its workspace",
            hint="give workspace.image in the lab file, for example docker/workspace",
        )
    for image in filter(None, [plan.workspace.image, *(service.image for service in plan.services)]):
        try:
            if is_ours(image):
                catalog.find(image)
        except LabctlError as error:
            yield Problem(what=error.what, hint=error.hint)


def _model(plan: Plan) -> Iterator[Problem]:
    """A model's hub is outside, and without egress there is no way there."""
    for name in () if plan.egress else plan.absent_models:
        yield Problem(
            what=f"the model {name} is not on this host, and this lab's network does not reach a model hub",
            hint=f"put it into LABCTL_MODELS/{PurePosixPath(name)} on this host, or use --profile cpu",
        )


def _memory(plan: Plan, engine: Engine) -> Iterator[Problem]:
    free = min(available_memory_mib(), engine.info.memory_mib or available_memory_mib())
    if free < plan.memory_mib:
        yield Problem(
            what=f"{plan.lab} needs {format_mib(plan.memory_mib)} of memory; {format_mib(free)} is available",
            hint="end other programs or sessions (`labctl status`)",
        )


def _disk(plan: Plan, engine: Engine) -> Iterator[Problem]:
    for place in (engine.settings.home, engine.info.root_dir):
        free = shutil.disk_usage(nearest(Path(place))).free // _MIB
        if free < plan.disk_mib:
            yield Problem(
                what=f"{plan.lab} needs {format_mib(plan.disk_mib)} of disk; {place} has {format_mib(free)} free",
                hint="free some space (`docker system df`), or set LABCTL_HOME to a larger disk",
            )
