"""Where labctl runs, as far as it changes what a driver can tell."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from labctl.gpus.holders import sees_host_processes

Place = Literal["machine", "container", "wsl"]
_KERNEL_MODULE_VERSION = Path("/sys/module/nvidia/version")
_CONTAINER_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))
_MPS_DIRECTORY = "/tmp/nvidia-mps"  # noqa: S108 - the default of NVIDIA's multi-process service


def place() -> Place:
    """A container is told by the mark that Docker and Podman leave; Kubernetes leaves none and reads as a machine."""
    if "microsoft" in (_text(Path("/proc/version")) or "").lower():
        return "wsl"
    return "container" if any(mark.exists() for mark in _CONTAINER_MARKS) else "machine"


def kernel_module_version() -> str | None:
    """The version of the NVIDIA kernel module that runs; None where it does not, as in WSL."""
    version = _text(_KERNEL_MODULE_VERSION)
    return version.strip() if version else None


def machine_memory_mib() -> tuple[int, int] | None:
    """Total and available memory of the machine, which an integrated GPU shares."""
    found = dict(re.findall(r"^(MemTotal|MemAvailable): +(\d+) kB$", _text(Path("/proc/meminfo")) or "", re.MULTILINE))
    return (int(found["MemTotal"]) // 1024, int(found["MemAvailable"]) // 1024) if len(found) == 2 else None


def mps() -> bool:
    """Whether the multi-process service's control pipe can be written to and, where that can be seen, its daemon lives."""
    folder = Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY") or _MPS_DIRECTORY)
    control = folder / "control"
    if not control.is_fifo() or not os.access(control, os.W_OK):
        return False
    pid = (_text(folder / "nvidia-cuda-mps-control.pid") or "").strip()
    return not (pid.isdigit() and sees_host_processes() and not Path("/proc", pid).exists())


def _text(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None
