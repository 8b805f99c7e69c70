"""Which sessions have processes, counted once for many questions: each count reads the environment of every process."""

from __future__ import annotations

import threading
import time
from pathlib import Path


class Census:
    """Process ids by session of one LABCTL_HOME, at most `valid_s` seconds old. Any thread may ask."""

    def __init__(self, home: Path, valid_s: float = 1.0) -> None:
        self._home = home
        self._valid_s = valid_s
        self._lock = threading.Lock()
        self._valid_until = 0.0
        self._found: dict[str, list[int]] = {}

    def of(self, session: str) -> list[int]:
        """The session's processes; empty when it has none."""
        with self._lock:
            if time.monotonic() >= self._valid_until:
                from labctl.runtimes.local import processes  # psutil: only when something is wrong

                self._found = processes.sessions(self._home)
                self._valid_until = time.monotonic() + self._valid_s
            return self._found.get(session, [])
