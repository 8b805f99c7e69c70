"""`gpu watch` on a terminal: one table that is redrawn in its place."""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from labctl.cli import screen
from labctl.cli.gpu_screen import UNKNOWN, details, free_of, head, held_by, labelled, meanings, places, short
from labctl.reports.plain import one_line

if TYPE_CHECKING:
    from labctl.sessions.inventory import Part, Row, View

_WIDE = 100
"""Columns from which on there is room for longer bars."""
_WARM_C = 83
"""NVIDIA's own dashboard for DCGM turns yellow there."""


def live(look: Callable[[], View], interval_s: float) -> NoReturn:
    """Look and draw, again and again; ends with Ctrl-C only."""
    console = screen.console(sys.stdout)
    _fit(console)
    with Live(console=console, auto_refresh=False) as display:
        while True:
            seen = look()
            _fit(console)  # the window may have been resized
            display.update(draw(seen, interval_s, console.width), refresh=True)
            time.sleep(interval_s)


def draw(view: View, interval_s: float, width: int) -> RenderableType:
    """The view as one thing that rich can draw, on `width` columns."""
    what = _table(view, 10 if width >= _WIDE else 6) if view.rows else _words(_problem(view))
    lines = _lines(view)
    more: list[RenderableType] = [Text(""), lines] if lines.row_count else []
    return Group(Text(_title(view, interval_s), style="dim"), what, *more)


def bar(percent: float, width: int) -> tuple[str, str]:
    """`width` characters in two parts: the part that is filled, seen as soon as there is anything, and the rest.

    >>> bar(0, 4), bar(1, 4), bar(50, 4), bar(100, 4)
    (('', '━━━━'), ('━', '━━━'), ('━━', '━━'), ('━━━━', ''))
    """
    filled = min(width, math.ceil(max(0.0, percent) / 100 * width))
    return "━" * filled, "━" * (width - filled)


def _fit(console: Console) -> None:
    size = shutil.get_terminal_size()
    console.size = console.size._replace(width=size.columns, height=size.lines)


def _title(view: View, interval_s: float) -> str:
    return f"{head(view)} · {view.at.astimezone():%H:%M:%S}, every {interval_s:g}s, Ctrl-C ends"


def _problem(view: View) -> str:
    return view.inventory.problem or f"{view.inventory.source} knows no GPU"


def _table(view: View, width: int) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style=f"bold {screen.ACCENT}")
    table.add_column("GPU", no_wrap=True)
    table.add_column("NAME", overflow="fold")
    for name in ("USE", "MEMORY"):
        table.add_column(name, no_wrap=True)
    for name in ("TEMP", "POWER"):
        table.add_column(name, no_wrap=True, justify="right")
    table.add_column("HELD BY", no_wrap=True)
    for row in view.rows:
        table.add_row(*_whole(row, width))
        for part in row.slices:
            table.add_row(*_slice(part, width))
    return table


def _whole(row: Row, width: int) -> list[Text]:
    gpu, felt = row.gpu, row.gpu.sensors
    is_warm = felt.temperature_c is not None and felt.temperature_c >= _WARM_C
    return [
        Text(str(gpu.index), style="" if gpu.health.ok else "red"),
        _words(short(gpu.name), "bold"),
        _percent(felt.utilization_percent, width),
        _memory(gpu.memory_free_mib, gpu.memory_total_mib, width),
        Text(UNKNOWN if felt.temperature_c is None else f"{felt.temperature_c} °C", style="yellow" if is_warm else ""),
        Text(UNKNOWN if felt.power_w is None else f"{felt.power_w:.0f} W"),
        Text("") if row.slices else _held_by(row.whole),
    ]


def _slice(part: Part, width: int) -> list[Text]:
    mig = part.mig
    free_mib, total_mib = (mig.memory_free_mib, mig.memory_total_mib) if mig else (None, None)
    name = _words(f"└ {(mig.profile if mig else None) or 'MIG slice'}")
    memory = _memory(free_mib, total_mib, width)
    return [Text(""), name, Text(""), memory, Text(""), Text(""), _held_by(part)]


def _held_by(part: Part) -> Text:
    is_idle = any(use.held.warned_at for use in part.uses)
    return _words(held_by(part), "yellow" if is_idle else "")


def _percent(value: int | None, width: int) -> Text:
    if value is None:
        return Text(UNKNOWN)
    return _bar(value, width, f" {value:>3}%")


def _memory(free_mib: int | None, total_mib: int | None, width: int) -> Text:
    """What is taken."""
    if free_mib is None or not total_mib:
        return Text(free_of(None, total_mib))
    used_mib = total_mib - free_mib
    return _bar(100 * used_mib / total_mib, width, f" {free_of(used_mib, total_mib)}")


def _bar(percent: float, width: int, words: str) -> Text:
    filled, rest = bar(percent, width)
    return Text.assemble((filled, screen.ACCENT), (rest, "dim"), words)


def _lines(view: View) -> Table:
    """What does not fit into the table, as `gpu list` has it."""
    lines = [line for row in view.rows for line in labelled(f"GPU {row.gpu.index}", details(row))]
    lines += [*labelled("waits", places(view)), *labelled("note", meanings(view))]
    grid = Table.grid(padding=(0, 3, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for label, cell in lines:
        grid.add_row(_words(label.text, label.style), _words(cell.text, cell.style))
    return grid


def _words(text: str, style: str = "") -> Text:
    """What it is made of is shown, never obeyed."""
    return Text(one_line(text), style=style)
