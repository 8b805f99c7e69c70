"""Which sessions have processes, counted once for many questions: each count reads the environment of every process."""

from __future__ import annotations

import threading
import time
from pathlib import Path

_VALID_S = 1.0


class Census:
    """Process ids by session of one LABCTL_HOME, at most a second old. Any thread may ask."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._valid_until = 0.0
        self._found: dict[str, list[int]] = {}

    def of(self, session: str) -> list[int]:
        """The session's processes; empty when it has none."""
        with self._lock:
            if time.monotonic() >= self._valid_until:
                from labctl.runtimes.local import processes  # psutil: only when something is wrong

                self._found = processes.sessions(self._home)
                self._valid_until = time.monotonic() + _VALID_S
            return self._found.get(session, [])
