"""Who computes on a GPU: NVML's process numbers as people and sessions."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
from pathlib import Path

from labctl.gpus.inventory import GpuProcess

_PROCESSES = Path("/proc")
_HOST_PID_NAMESPACE = 0xEFFFFFFC
"""Inode of the first process namespace: PROC_PID_INIT_INO in the kernel's include/linux/proc_ns.h."""
_SHORT_NAME = 15
"""What the kernel keeps of a process's name: TASK_COMM_LEN without its end."""
_ANCESTORS = 32


def holder(pid: int, memory_mib: int | None) -> GpuProcess:
    """The process `pid` of the host. Name, owner and session are None where /proc cannot tell, as in a container.

    The session is what LABCTL_SESSION says in the environment of the process, or of the nearest one above it: vLLM's
    workers write their names over theirs. Whoever starts a process can write anything there. It is good for putting
    down memory to a session, and for no permission.
    """
    if not sees_host_processes():
        return GpuProcess(pid=pid, memory_mib=memory_mib)
    return GpuProcess(pid=pid, memory_mib=memory_mib, name=_name(pid), owner=_owner(pid), session=_session(pid))


def cpu_s(pid: int) -> float | None:
    """Seconds of processor time that the process has used so far; None where it cannot be known."""
    fields = (_read(pid, "stat") or "").rpartition(")")[2].split() if sees_host_processes() else []
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK") if len(fields) > 12 else None


def sees_host_processes() -> bool:
    """Whether process numbers here are the host's, which NVML's are. In a container they would name somebody else."""
    try:
        return Path("/proc/self/ns/pid").stat().st_ino == _HOST_PID_NAMESPACE
    except OSError:
        return False


def _name(pid: int) -> str | None:
    name = (_read(pid, "comm") or "").rstrip("\n")
    if len(name) == _SHORT_NAME:  # perhaps cut: the command line has it whole
        program = (_read(pid, "cmdline") or "").partition("\0")[0].rpartition("/")[2]
        return program if program.startswith(name) else name
    return name or None


def _owner(pid: int) -> str | None:
    user = _status(pid, "Uid")
    if user is None:
        return None
    with contextlib.suppress(KeyError):  # an account that this host does not know
        return pwd.getpwuid(user).pw_name
    return str(user)


def _session(pid: int) -> str | None:
    for _ in range(_ANCESTORS):
        found = re.search(r"(?:^|\0)LABCTL_SESSION=([^\0]+)", _read(pid, "environ") or "")
        if found:
            return found[1]
        parent = _status(pid, "PPid")
        if parent is None or parent <= 1:
            return None
        pid = parent
    return None


def _status(pid: int, field: str) -> int | None:
    found = re.search(rf"^{field}:\s+(\d+)", _read(pid, "status") or "", re.MULTILINE)
    return int(found[1]) if found else None


def _read(pid: int, name: str) -> str | None:
    """None: it ended, or it is not ours to see."""
    try:
        return (_PROCESSES / str(pid) / name).read_text(errors="replace")
    except OSError:
        return None
