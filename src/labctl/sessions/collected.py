"""What `gc` answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """One thing `gc` ended, or would end: a session, or only its hold on GPUs; `problem` is why it could not."""

    session: str
    why: str
    problem: str = ""
    what: Literal["session", "gpu"] = "session"
