"""Progress of `up` and `down`: a line a step. On a terminal it moves, elsewhere a line is written when something is true."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from labctl.cli import screen
from labctl.cli.moving import Moving
from labctl.reports.plain import one_line
from labctl.units import format_duration

if TYPE_CHECKING:
    from rich.text import Text

    from labctl.progress import Step

_MARKS = {"done": ("✓", "green"), "unchanged": ("·", "dim"), "failed": ("✗", "red")}


class Steps:
    """A callable that takes each Step; a context manager, so that a moving line is always taken away."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._begun: dict[str, float] = {}
        self._details: dict[str, str] = {}
        self._moving: Moving | None = None

    def __enter__(self) -> Steps:
        if not self._quiet and screen.in_colour(sys.stderr):
            self._moving = Moving(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._moving is not None:
            self._moving.stop()

    def __call__(self, step: Step) -> None:
        if self._quiet:
            return
        if step.state in ("started", "progress"):
            self._goes_on(step)
        else:
            self._ended(step)
        self._spin()

    def forget(self, prefix: str) -> None:
        """No more will be heard of steps whose names begin like this."""
        for name in [name for name in self._begun if name.startswith(prefix)]:
            del self._begun[name]
            self._details.pop(name, None)
        self._spin()

    def _goes_on(self, step: Step) -> None:
        if step.name not in self._begun:
            self._begun[step.name] = time.monotonic()
            if self._moving is None:
                self._write("…", "", step.name, step.detail)
        self._details[step.name] = step.detail

    def _ended(self, step: Step) -> None:
        begun = self._begun.pop(step.name, None)
        self._details.pop(step.name, None)
        took = format_duration(time.monotonic() - begun) if begun is not None else ""
        self._write(*_MARKS[step.state], step.name, "  ".join(part for part in (step.detail, took) if part))

    def _write(self, mark: str, style: str, name: str, detail: str) -> None:
        if self._moving is not None:
            self._moving.stop()
        parts = [screen.paint(mark, style, sys.stderr), screen.paint(one_line(name), "bold", sys.stderr)]
        parts.append(screen.paint(one_line(detail), "dim", sys.stderr))
        sys.stderr.write("  ".join(part for part in parts if part).replace("  ", " ", 1) + "\n")

    def _spin(self) -> None:
        if self._moving is None:
            return
        if not self._begun:
            self._moving.stop()
            return
        self._moving.start()

    def __rich__(self) -> Text:
        """What is under way at this moment; the spinner asks again with every turn, so the seconds move."""
        from rich.text import Text

        width = self._moving.width if self._moving else 100
        now = time.monotonic()
        lines = [
            f"{name}  {format_duration(now - begun)}  {self._details.get(name, '')}"
            for name, begun in self._begun.items()
        ]
        return Text("\n  ".join(one_line(line)[:width] for line in lines))
