"""What a class is doing: a line for each session that is done, and on a terminal what is under way."""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any

from labctl.cli import screen
from labctl.cli.table import Cell
from labctl.reports.plain import one_line
from labctl.units import format_duration

if TYPE_CHECKING:
    from labctl.cohorts.classroom import Done
    from labctl.progress import Step


class Watch:
    """`step` takes the steps of every session, from any thread, `done` what came of each. `of` is how many there will be, 0
    where nobody knows; `verb` is what becomes of them."""

    def __init__(self, of: int, verb: str, *, quiet: bool) -> None:
        self._of, self._verb, self._quiet = of, verb, quiet
        self._count, self._failed, self._last = 0, 0, ""
        self._lock = threading.Lock()
        self._spinner: Any = None

    def __enter__(self) -> Watch:
        if not self._quiet and screen.in_colour(sys.stderr):
            self._spinner = screen.console(sys.stderr).status("", spinner="dots", spinner_style=screen.ACCENT)
            self._spinner.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._spinner is not None:
            self._spinner.stop()

    def step(self, step: Step) -> None:
        with self._lock:
            self._last = f"{step.name} {step.detail}".strip()
            self._spin()

    def waits(self, left_s: float) -> None:
        """The deadline is so many seconds away."""
        with self._lock:
            self._last = f"waiting for the deadline, {format_duration(left_s)} from now"
            self._spin()

    def done(self, done: Done) -> None:
        with self._lock:
            self._count += 1
            self._failed += bool(done.problem)
            if not self._quiet:
                self._tell(done)
            self._spin()

    def _tell(self, done: Done) -> None:
        if self._spinner is not None:
            self._spinner.stop()
        mark, style = ("✗", "red") if done.problem else ("✓", "green")
        who = f"{done.seat.person.name} ({done.seat.person.id})"
        words = Cell(one_line(done.problem), "red") if done.problem else Cell(one_line(done.words))
        took = Cell(format_duration(done.took_s), "dim")
        screen.line(Cell(mark, style), Cell(one_line(who), "bold"), Cell(done.seat.lab, "dim"), words, took)
        if done.problem and done.hint:
            screen.hint(one_line(done.hint))
        if self._spinner is not None:
            self._spinner.start()

    def _spin(self) -> None:
        if self._spinner is None:
            return
        of = f" of {self._of}" if self._of else ""
        failed = f", {self._failed} failed" if self._failed else ""
        self._spinner.update(one_line(f"{self._count}{of} {self._verb}{failed}  {self._last}")[:100])
