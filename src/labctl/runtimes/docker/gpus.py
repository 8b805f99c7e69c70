"""The GPUs behind a Docker engine: this host's, when the engine is on this host, and never this host's for another one's."""

from __future__ import annotations

import platform
from dataclasses import replace

from labctl.errors import PreflightError
from labctl.gpus.inventory import Inventory
from labctl.images.engine import EngineInfo
from labctl.runtimes.docker.engine import Engine

_SOURCE = "Docker"


def inventory(engine: Engine) -> Inventory:
    """What NVML says here, without MPS, which needs the host's IPC namespace. Raises EngineError when no engine answers."""
    from labctl.gpus.nvml import inventory as of_this_host

    try:
        problem = elsewhere(engine.url, engine.info, platform.release())
    except PreflightError as error:
        problem = f"{error.what}: its GPUs cannot be asked from here; {error.hint}"
    if problem:
        return Inventory(source=_SOURCE, problem=problem)
    return replace(of_this_host(engine.settings.nvml_library), mps=False)


def elsewhere(url: str, info: EngineInfo, kernel: str) -> str:
    """Why the engine is on another machine than a process here with this kernel, in a sentence; empty when it is not. Pure.

    A socket of this machine may be forwarded from another one, or lead into a virtual machine, as Docker Desktop's does.
    """
    if not info.kernel or info.kernel == kernel:
        return ""
    return (
        f"the engine behind {url} runs on another machine or in a virtual machine (kernel {info.kernel}, here {kernel}): "
        "its GPUs cannot be asked from here; run labctl there"
    )
