"""How an engine hands out NVIDIA's GPUs: NVIDIA's container toolkit, found or missing, and which of its versions will do."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence

from labctl.images.engine import EngineInfo
from labctl.runtimes.base import Problem

SAFE = (1, 17, 8)
"""Containers can break out of older ones: CVE-2025-23266 (NVIDIA security bulletin of July 2025), up to 1.17.7."""
INSTALL = (
    "install nvidia-container-toolkit (https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/"
    "install-guide.html), then `sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker`"
)
_DESCRIBE = "`sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml` (from 1.15 on it names them by UUID too)"
_UPGRADE = "`sudo apt-get install --only-upgrade nvidia-container-toolkit && sudo systemctl restart docker`"
_RUNTIME = "nvidia"
_HOOK = "nvidia-container-runtime-hook"
"""With this on its PATH an engine hands out GPUs also where no runtime was configured (daemon/nvidia_linux.go of moby)."""
_TOOL, _ANSWER_S = "nvidia-ctk", 10.0


def by_cdi(uuids: Sequence[str], info: EngineInfo) -> bool:
    """Whether the engine knows each of these GPUs, or MIG slices, as a CDI device by its UUID."""
    return bool(uuids) and info.cdi is not None and set(uuids) <= info.cdi


def problems(uuids: Sequence[str], info: EngineInfo) -> Iterator[Problem]:
    """What keeps this host's engine from handing out these GPUs."""
    if uuids:
        yield from missing(uuids, info, has_hook=shutil.which(_HOOK) is not None)
        yield from outdated(version())


def missing(uuids: Sequence[str], info: EngineInfo, *, has_hook: bool) -> Iterator[Problem]:
    """That there is no way to hand out GPUs, when the engine says so; one that cannot tell is believed to have one. Pure."""
    if by_cdi(uuids, info) or has_hook or info.runtimes is None or _RUNTIME in info.runtimes:
        return
    known = ", ".join(sorted(info.runtimes)) or "none"
    yield Problem(
        what=f"the Docker engine cannot hand out NVIDIA's GPUs: it has no runtime {_RUNTIME!r} (it has: {known}), "
        f"and {'names no GPU by its UUID as' if info.cdi else 'knows no'} CDI device",
        hint=_DESCRIBE if info.cdi else INSTALL,
    )


def outdated(said: str) -> Iterator[Problem]:
    """That containers could break out, by what `nvidia-ctk --version` says; nothing for text that holds no version. Pure.

    >>> [problem.what[:33] for problem in outdated("NVIDIA Container Toolkit CLI version 1.17.7")]
    ["NVIDIA's container toolkit 1.17.7"]
    """
    found = re.search(r"version v?(\d+)\.(\d+)\.(\d+)", said)
    if found and tuple(map(int, found.groups())) < SAFE:
        yield Problem(
            what=f"NVIDIA's container toolkit {'.'.join(found.groups())} lets containers break out (CVE-2025-23266); "
            f"{'.'.join(map(str, SAFE))} is the first that does not",
            hint=_UPGRADE,
        )


def version() -> str:
    """What the toolkit on this host says of its version; empty when there is none, or it does not say."""
    tool = shutil.which(_TOOL)
    if tool is None:
        return ""
    try:
        done = subprocess.run(
            [tool, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_ANSWER_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
