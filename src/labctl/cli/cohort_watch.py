"""What a class is doing: a line for each session that is done, and on a terminal a table of those that are under way."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING

from labctl.cli import screen
from labctl.cli.moving import Moving
from labctl.cli.table import Cell
from labctl.reports.plain import one_line
from labctl.units import format_duration

if TYPE_CHECKING:
    from rich.table import Table

    from labctl.cohorts.classroom import Done
    from labctl.progress import Step

MAX_ROWS = 12
"""Of the table of what is under way: it has to fit below what has been said."""


class Watch:
    """`step` takes the steps of every session, from any thread, under its learner's id ("ada: service vllm"), `done` what
    came of each. `of` is how many there will be, 0 where nobody knows; `verb` is what becomes of them."""

    def __init__(self, of: int, verb: str, *, quiet: bool) -> None:
        self._of, self._verb, self._quiet = of, verb, quiet
        self._count, self._failed, self._last = 0, 0, ""
        self._lock = threading.Lock()
        self._under_way: dict[str, tuple[float, str]] = {}
        self._moving: Moving | None = None

    def __enter__(self) -> Watch:
        if not self._quiet and screen.in_colour(sys.stderr):
            self._moving = Moving(self)
            self._moving.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._moving is not None:
            self._moving.stop()

    def step(self, step: Step) -> None:
        who, _, name = step.name.partition(": ")
        with self._lock:
            began, _ = self._under_way.get(who, (time.monotonic(), ""))
            self._under_way[who] = (began, f"{name} {step.detail}".strip())

    def waits(self, left_s: float) -> None:
        """The deadline is so many seconds away."""
        with self._lock:
            self._last = f"waiting for the deadline, {format_duration(left_s)} from now"

    def done(self, done: Done) -> None:
        with self._lock:
            self._count += 1
            self._failed += bool(done.problem)
            self._under_way.pop(done.seat.person.id, None)
            if not self._quiet:
                self._tell(done)

    def _tell(self, done: Done) -> None:
        if self._moving is not None:
            self._moving.stop()
        mark, style = ("✗", "red") if done.problem else ("✓", "green")
        who = f"{done.seat.person.name} ({done.seat.person.id})"
        words = Cell(one_line(done.problem), "red") if done.problem else Cell(one_line(done.words))
        took = Cell(format_duration(done.took_s), "dim")
        screen.line(Cell(mark, style), Cell(one_line(who), "bold"), Cell(done.seat.lab, "dim"), words, took)
        if done.problem and done.hint:
            screen.hint(one_line(done.hint))
        if self._moving is not None:
            self._moving.start()

    def __rich__(self) -> Table:
        """How many are done, and what each session that is under way is doing; asked with every turn of the spinner."""
        from rich.table import Table
        from rich.text import Text

        now = time.monotonic()
        rows = list(self._under_way.items())
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        table.add_column(no_wrap=True, justify="right")
        table.add_row(Text(self._summary(), "bold"), Text(one_line(self._last)), "")
        for who, (began, words) in rows[:MAX_ROWS]:
            took = Text(format_duration(now - began), "dim")
            table.add_row(Text(one_line(who)), Text(one_line(words), "dim"), took)
        if len(rows) > MAX_ROWS:
            table.add_row(Text(f"and {len(rows) - MAX_ROWS} more", "dim"), "", "")
        return table

    def _summary(self) -> str:
        of = f" of {self._of}" if self._of else ""
        failed = f", {self._failed} failed" if self._failed else ""
        return f"{self._count}{of} {self._verb}{failed}"
