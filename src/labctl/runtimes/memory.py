"""How much memory this host can give."""

from __future__ import annotations

from pathlib import Path

_MIB = 1024 * 1024
_CGROUP = Path("/sys/fs/cgroup")


def available_memory_mib() -> int:
    """Memory that new processes can have: the host's, or less where a container limits it."""
    import psutil

    limits = [int(psutil.virtual_memory().available)]
    try:
        limit, used = ((_CGROUP / name).read_text().strip() for name in ("memory.max", "memory.current"))
        limits += [int(limit) - int(used)] if limit != "max" else []
    except OSError:  # no such limit: cgroup v1, or not in a container
        pass
    return min(limits) // _MIB
