"""Who computes on a GPU: NVML's process numbers as people."""

from __future__ import annotations

from pathlib import Path

import psutil

from labctl.gpus.inventory import GpuProcess

_HOST_PID_NAMESPACE = 0xEFFFFFFC
"""Inode of the first process namespace: PROC_PID_INIT_INO in the kernel's include/linux/proc_ns.h."""


def holder(pid: int, memory_bytes: int | None) -> GpuProcess:
    """The process `pid` of the host. Name and owner are None where /proc cannot tell, as in a container."""
    memory_mib = None if memory_bytes is None else memory_bytes // (1024 * 1024)
    name, owner = _name_and_owner(pid) if sees_host_processes() else (None, None)
    return GpuProcess(pid=pid, memory_mib=memory_mib, name=name, owner=owner)


def sees_host_processes() -> bool:
    """Whether process numbers here are the host's, which NVML's are. In a container they would name somebody else."""
    try:
        return Path("/proc/self/ns/pid").stat().st_ino == _HOST_PID_NAMESPACE
    except OSError:
        return False


def _name_and_owner(pid: int) -> tuple[str | None, str | None]:
    try:
        process = psutil.Process(pid)
        return process.name(), process.username()
    except psutil.Error:  # it ended, or it is not ours to see
        return None, None
