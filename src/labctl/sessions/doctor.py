"""`doctor`: every prerequisite, found or not, and the command that mends it."""

from __future__ import annotations

import os
import platform
import shutil
from typing import TYPE_CHECKING

from labctl.disk import nearest
from labctl.errors import LabctlError
from labctl.labs import catalog
from labctl.sessions.cluster_finding import cluster
from labctl.sessions.context import Context
from labctl.sessions.finding import Finding
from labctl.sessions.gpu_findings import gpu_findings, in_containers, inventory_of
from labctl.sessions.mending import has_nvidia_device, with_roles
from labctl.units import format_mib

if TYPE_CHECKING:
    from labctl.gpus.inventory import Inventory
    from labctl.images.engine import EngineInfo

MIN_DISK_MIB = 8 * 1024
MIN_MEMORY_MIB = 4 * 1024


def examine(ctx: Context) -> list[Finding]:
    """What was found on this machine, necessary things first. Never raises for what is missing: that is a finding."""
    gpus = inventory_of(ctx)
    found = [
        _python(),
        _uv(),
        _home(ctx),
        _disk(ctx),
        _memory(),
        _database(ctx),
        _labs(ctx),
        *gpu_findings(gpus),
        *_engine(ctx, gpus),
        *cluster(ctx),
        _compiler(),
    ]
    return list(with_roles(found, is_gpu_there=has_nvidia_device()))


def healthy(findings: list[Finding]) -> bool:
    return all(finding.ok is not False for finding in findings)


def _python() -> Finding:
    return Finding(name="Python", ok=True, detail=f"{platform.python_version()} on {platform.machine()}")


def _uv() -> Finding:
    import uv

    try:
        return Finding(name="uv", ok=True, detail=uv.find_uv_bin())
    except FileNotFoundError:
        return Finding(
            name="uv",
            ok=False,
            detail="its program is not beside the package",
            remedy="pip install --force-reinstall uv",
        )


def _home(ctx: Context) -> Finding:
    home = ctx.settings.home
    place = nearest(home)
    if os.access(place, os.W_OK):
        return Finding(name="LABCTL_HOME", ok=True, detail=str(home))
    return Finding(
        name="LABCTL_HOME", ok=False, detail=f"{place} cannot be written", remedy="export LABCTL_HOME=~/labctl-home"
    )


def _disk(ctx: Context) -> Finding:
    free = shutil.disk_usage(nearest(ctx.settings.home)).free // (1024 * 1024)
    enough = free >= MIN_DISK_MIB
    remedy = (
        ""
        if enough
        else f"free some space (the larger labs need {format_mib(MIN_DISK_MIB)}), or set LABCTL_HOME to another disk"
    )
    return Finding(name="disk", ok=enough, detail=f"{format_mib(free)} free", remedy=remedy)


def _memory() -> Finding:
    import psutil

    available = psutil.virtual_memory().available // (1024 * 1024)
    enough = available >= MIN_MEMORY_MIB
    remedy = "" if enough else "end other programs, or run the small labs of stage 1"
    return Finding(name="memory", ok=enough, detail=f"{format_mib(available)} available", remedy=remedy)


def _database(ctx: Context) -> Finding:
    try:
        live = len(ctx.store.sessions(live=True))
    except LabctlError as error:
        return Finding(name="database", ok=False, detail=error.what, remedy=error.hint)
    return Finding(name="database", ok=True, detail=f"{live} live session{'s' if live != 1 else ''}")


def _labs(ctx: Context) -> Finding:
    rows = catalog.summaries(ctx.settings.labs)
    broken = [row.id for row in rows if row.problem]
    if broken:
        return Finding(
            name="labs", ok=False, detail=f"cannot be read: {', '.join(broken)}", remedy="labctl lab validate"
        )
    return Finding(
        name="labs",
        ok=bool(rows),
        detail=f"{len(rows)} found",
        remedy="" if rows else "set LABCTL_LABS to a folder of labs",
    )


def _engine(ctx: Context, gpus: Inventory | LabctlError) -> list[Finding]:
    """A Docker engine is needed only by who uses it."""
    from labctl.images.engine import connect, engine_info

    is_wanted = ctx.settings.runtime == "docker"
    try:
        info = engine_info(connect(ctx.settings))
    except LabctlError as error:
        return [Finding(name="Docker", ok=False if is_wanted else None, detail=error.what, remedy=error.hint)]
    return [_docker(info), *in_containers(gpus, info, is_wanted=is_wanted)]


def _docker(info: EngineInfo) -> Finding:
    mode = "rootless" if info.rootless else "user namespaces" if info.userns_remap else "root"
    detail = f"engine {info.server_version} (API {info.api_version}), {mode}, cgroup v{info.cgroup_version}"
    if not info.memory_limit:
        remedy = "it cannot limit memory: use cgroup v2 with systemd, else one learner can take all of it"
        return Finding(name="Docker", ok=None, detail=detail, remedy=remedy)
    if shutil.which("docker") is None:
        return Finding(
            name="Docker", ok=False, detail=f"{detail}; no docker command", remedy="sudo apt-get install docker-ce-cli"
        )
    return Finding(name="Docker", ok=True, detail=detail)


def _compiler() -> Finding:
    found = shutil.which("gcc") or shutil.which("cc")
    remedy = "" if found else "sudo apt-get install gcc (some packages compile kernels when they first run)"
    return Finding(name="C compiler", ok=True if found else None, detail=found or "none", remedy=remedy)
