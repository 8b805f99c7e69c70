"""How far a piece of work is, told while it goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Progress: one stage of `up` or `down`, for example ("environment llm", "started", "58 packages")."""

    name: str
    state: Literal["started", "progress", "done", "unchanged", "failed"]
    detail: str = ""


Progress = Callable[[Step], None]


def one_at_a_time(progress: Progress) -> Progress:
    """`progress` for several threads."""
    lock = threading.Lock()

    def report(step: Step) -> None:
        with lock:
            progress(step)

    return report
