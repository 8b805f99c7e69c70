"""What the NVIDIA driver wrote about its GPUs into the kernel's log: Xid errors.

The tables follow the column "Resolution Bucket (Immediate Action)" of NVIDIA's Xid catalog,
https://docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html. Errors that end one program and leave the GPU well
(13, 31, 43, 45 and the like) are in none of them.
"""

from __future__ import annotations

import ctypes
import re

_READ_ALL, _SIZE_OF_BUFFER = 3, 10  # SYSLOG_ACTION_… of syslog(2)
_OURS = b"NVRM:"
_LOADED = "NVRM: loading NVIDIA UNIX"
_XID = re.compile(r"NVRM: Xid \((?:PCI:)?([0-9a-fA-F]+:[0-9a-fA-F]{2}:[0-9a-fA-F]{2})[^)]*\): (\d+)(.*)")
_RECOVERED = re.compile(r"recovery action changed from .* to 0x0\b")
_RECOVERY_CHANGED = 154

CRITICAL = {  # RESET_GPU and RESTART_BM, and WORKFLOW_XID_48 and WORKFLOW_NVLINK_ERR, whose texts ask for a reset too
    46: "it stopped processing",
    48: "it met a double-bit memory error",
    62: "its micro-controller halted",
    64: "remapping a defective memory row failed",
    74: "one of its NVLinks failed",
    79: "it fell off the bus",
    95: "it met a memory error that was not contained to one program",
    109: "switching between programs on it timed out",
    110: "it met a security fault",
    119: "its system processor (GSP) stopped answering",
    120: "its system processor (GSP) failed",
    136: "training one of its NVLinks failed",
    140: "it met a memory error that could not be recovered",
    143: "it could not be initialised",
    155: "one of its NVLinks went down",
    156: "one of its units was retired",
    158: "it met a fatal timeout",
}
REBOOT = frozenset({79})
"""RESTART_BM: no reset brings it back."""
ADVISORY = {  # RESTART_APP or IGNORE, with something left to do
    63: "a defective memory row was remapped: reset it when that suits",
    92: "its rate of corrected memory errors is high: have it looked at",
    94: "a memory error ended one program: reset it when that suits",
}


def read() -> str | None:
    """The driver's lines in the kernel's log, or in the end of it; None where it may not be read, as by users other
    than root on most systems.

    syslog(2) gives it in one call and changes nothing; /dev/kmsg, which containers lack, would take a call a line.
    """
    try:
        klogctl = ctypes.CDLL(None).klogctl
    except (OSError, AttributeError):
        return None
    size = klogctl(_SIZE_OF_BUFFER, None, 0)
    if size <= 0:
        return None
    buffer = ctypes.create_string_buffer(size)
    read = klogctl(_READ_ALL, buffer, size)
    if read < 0:
        return None
    ours = (line for line in buffer.raw[:read].split(b"\n") if _OURS in line)
    return b"\n".join(ours).decode(errors="replace")


def xids(log: str) -> dict[str, tuple[int, ...]]:
    """The errors of the two tables that each GPU had since the driver was loaded or recovered it, the newest last.

    The key is the bus id without the function, as in `0000:17:00`.

    >>> xids("<3>[ 12.5] NVRM: Xid (PCI:0000:17:00): 79, pid=7, name=python, GPU has fallen off the bus.")
    {'0000:17:00': (79,)}
    """
    found: dict[str, list[int]] = {}
    for line in log.splitlines():
        if _LOADED in line:
            found.clear()
        elif match := _XID.search(line):
            bus, number = _bus_id(match[1]), int(match[2])
            if number == _RECOVERY_CHANGED and _RECOVERED.search(match[3]):
                found.pop(bus, None)
            elif number in CRITICAL or number in ADVISORY:
                found.setdefault(bus, []).append(number)
    return {bus: tuple(numbers) for bus, numbers in found.items()}


def _bus_id(text: str) -> str:
    domain, bus, device = (int(part, 16) for part in text.split(":"))
    return f"{domain:04x}:{bus:02x}:{device:02x}"
