"""What the planner is told of this host and of the labs: the one file of the planner that looks around."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.cohorts.rounds import Host, LabNeed, ProfileName, Round, Size
from labctl.disk import nearest
from labctl.errors import EngineError, LabctlError, PreflightError
from labctl.gpus.inventory import Inventory
from labctl.labs.lab import Lab
from labctl.planning import declared_layout, plan
from labctl.runtimes.memory import available_memory_mib
from labctl.sessions import gpus
from labctl.sessions.claims import need_of
from labctl.sessions.context import Context
from labctl.settings import Settings

if TYPE_CHECKING:
    from labctl.images.engine import EngineInfo

_MIB = 2**20
_UNKNOWN_MIB = 2**40
"""More than anybody has: a cluster's storage says itself when it is full."""
_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True, slots=True, kw_only=True)
class NeededImage:
    """An image that sessions are made of. `size_mib` is what it takes on the engine; None where it is not there, and with
    `present` None too where no engine could be asked."""

    name: str
    reference: str
    present: bool | None = None
    size_mib: int | None = None


def look(ctx: Context, runtime: str) -> tuple[Host, tuple[str, ...]]:
    """What this host has for sessions on `runtime`, and what could not be seen. An engine that is silent is no error here:
    a class is planned before its machine is set up. Raises UsageError for an unknown runtime."""
    engine = ctx.runtime(runtime)
    notes = []
    try:
        inventory = engine.gpus()
    except (EngineError, PreflightError) as error:
        inventory = Inventory(source=runtime, problem=error.what)
        notes.append(f"GPUs could not be looked at: {error.what}")
    live = ctx.store.sessions(live=True)
    if live:
        running = "1 session runs" if len(live) == 1 else f"{len(live)} sessions run"
        notes.append(f"{running} already; what they take is not counted as free")
    host = Host(
        cores=_cores(),
        memory_mib=available_memory_mib(),
        disk_mib=min(_free_mib(ctx.settings.home), _free_mib(ctx.settings.workspaces)),
        inventory=inventory,
        holdings=tuple(gpus.holdings(ctx.store.held(), live)),
    )
    if runtime == "kubernetes":
        return _of_cluster(host, ctx.settings, notes), tuple(notes)
    return (_within(host, ctx.settings) if runtime == "docker" else host), tuple(notes)


def lab_need(lab: Lab, runtime: str) -> LabNeed:
    """What a session of `lab` takes in each profile. Raises LabFileError for a template that cannot be rendered."""
    sizes: dict[ProfileName, Size] = {}
    for name, profile in lab.spec.profiles.items():
        sizes[name] = Size(
            memory_mib=profile.memory,
            cpus=profile.cpus,
            disk_mib=profile.disk,
            gpu=need_of(profile.gpu) if profile.gpu else None,
            images=() if runtime == "local" else _images(lab, name),
        )
    return LabNeed(lab=lab.id, minutes=lab.spec.minutes, sizes=sizes)


def needed_images(settings: Settings, rounds: Iterable[Round], runtime: str) -> list[NeededImage]:
    """The images of all rounds, once each, and whether this host's engine, or a node of the cluster, has them."""
    from labctl.images import catalog

    wanted = dict.fromkeys((image, each.profile) for each in rounds for image in each.size.images)
    found = [NeededImage(name=image, reference=catalog.reference(image, name, settings)) for image, name in wanted]
    found = list({each.reference: each for each in found}.values())
    try:
        if runtime == "kubernetes":
            return _on_nodes(settings, found)
        return _on_engine(settings, found) if found else []
    except LabctlError:  # no engine, or not one that answers
        return found


def _images(lab: Lab, profile: ProfileName) -> tuple[str, ...]:
    from labctl.runtimes.docker.parts import images

    return tuple(images(plan(lab, learner="learner", profile=profile, layout=declared_layout(lab))))


def _on_engine(settings: Settings, images: Sequence[NeededImage]) -> list[NeededImage]:
    from labctl.images.engine import connect, size_mib

    client = connect(settings)
    sizes = [size_mib(client, image.reference) for image in images]
    return [replace(image, present=size is not None, size_mib=size) for image, size in zip(images, sizes, strict=True)]


def _on_nodes(settings: Settings, images: Sequence[NeededImage]) -> list[NeededImage]:
    """A cluster needs no ingress of ours. What no node tells of may be there all the same: then nobody knows."""
    from labctl.images.names import INGRESS
    from labctl.runtimes.kubernetes.api import Api
    from labctl.runtimes.kubernetes.capacity import of_cluster

    known = of_cluster(Api(settings.kubeconfig)).images
    there = {image.reference: any(name.endswith(image.reference) for name in known) for image in images}
    return [replace(each, present=there[each.reference] or None) for each in images if each.name != INGRESS]


def _of_cluster(host: Host, settings: Settings, notes: list[str]) -> Host:
    """What the nodes have left; nothing is known of their disks."""
    from labctl.runtimes.kubernetes.api import Api
    from labctl.runtimes.kubernetes.capacity import of_cluster

    try:
        left = of_cluster(Api(settings.kubeconfig))
    except LabctlError as error:
        notes.append(f"the cluster could not be looked at: {error.what}")
        return host
    return replace(host, cores=left.cores, memory_mib=left.memory_mib, disk_mib=_UNKNOWN_MIB)


def _within(host: Host, settings: Settings) -> Host:
    """No more than the engine has; what it does not tell, the host does."""
    info = _engine_info(settings)
    if info is None:
        return host
    return replace(
        host,
        cores=min(host.cores, info.cpu_count or host.cores),
        memory_mib=min(host.memory_mib, info.memory_mib or host.memory_mib),
        disk_mib=min(host.disk_mib, _free_mib(Path(info.root_dir or settings.home))),
    )


def _engine_info(settings: Settings) -> EngineInfo | None:
    from labctl.images.engine import connect, engine_info

    try:
        return engine_info(connect(settings))
    except LabctlError:
        return None


def _cores() -> float:
    """CPU cores for processes of this user: fewer than there are where a container limits them."""
    count = float(len(os.sched_getaffinity(0)))
    try:
        quota, period = _CPU_MAX.read_text().split()
        return count if quota == "max" else min(count, int(quota) / int(period))
    except (OSError, ValueError):  # no such limit: cgroup v1, or not in a container
        return count


def _free_mib(folder: Path) -> int:
    try:
        return shutil.disk_usage(nearest(folder)).free // _MIB
    except OSError:  # the engine's folder may be closed to us; what there is of it, nobody knows
        return 0 if folder.exists() else shutil.disk_usage("/").free // _MIB
