"""What people and labs are called in the Hub."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable

MAX_SERVER_CHARS = 30
"""Of a named server in JupyterHub 6."""
_SLUG = re.compile(r"[a-z](?:-?[a-z0-9])*")


def server_name(lab: str) -> str:
    """The named server in which a learner does `lab`: the lab's id, where the Hub takes it as it is.

    >>> server_name("stage2-finetune"), server_name("0-start")
    ('stage2-finetune', 'lab-0-start-d766ce56')
    """
    if _SLUG.fullmatch(lab) and len(lab) <= MAX_SERVER_CHARS:
        return lab
    words = re.sub(r"-+", "-", f"lab-{lab}")[: MAX_SERVER_CHARS - 9].strip("-")
    return f"{words}-{zlib.crc32(lab.encode()):08x}"


def lab_of(server: str, labs: Iterable[str]) -> str | None:
    """Which of `labs` is done in the server with this name; None for none of them."""
    return next((lab for lab in labs if server_name(lab) == server), None)
