"""Lines on stderr that move while something goes on, where it is a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from labctl.cli import screen

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.status import Status


class Moving:
    """`what` beside a spinner, from `start` to `stop`, which may be called again and again; what it shows is asked of `what`
    with every turn. Stop it before a line is written, or the line is lost."""

    def __init__(self, what: RenderableType) -> None:
        self._what = what
        self._status: Status | None = None

    def start(self) -> None:
        if self._status is None:
            # A new one each time: rich's own remembers how tall it was, and would begin by wiping as many lines above it.
            self._status = screen.console(sys.stderr).status(self._what, spinner="dots", spinner_style=screen.ACCENT)
            self._status.start()

    def stop(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    @property
    def width(self) -> int:
        """Columns that there are for it."""
        return max(20, screen.console(sys.stderr).width - 6)
