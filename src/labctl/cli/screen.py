"""How labctl looks: stdout carries the answer, stderr the chatter, colour only on a terminal, one accent."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from labctl.cli.table import Cell, render
from labctl.reports.plain import one_line

if TYPE_CHECKING:
    from rich.console import Console

ACCENT = "cyan"
_LINES = 25
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_STATES = {"running": "green", "exited": "green", "starting": "yellow", "stopping": "yellow", "stopped": "dim"}


def answer(text: str) -> None:
    """Plain text on stdout."""
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")


def answer_json(value: Any) -> None:
    """One JSON document on stdout, safe to look at on a terminal whatever words are in it."""
    from labctl.reports.json_text import dump

    answer(dump(value))


def line(*cells: Cell | str) -> None:
    """Words on stdout, each in its style; what they are made of is shown, never obeyed."""
    parts = [cell if isinstance(cell, Cell) else Cell(cell) for cell in cells]
    answer(" ".join(_painted(part) for part in parts))


def table(columns: Sequence[str], rows: Sequence[Sequence[Cell | str]], *, right: Sequence[str] = ()) -> None:
    """An aligned table on stdout, as wide as the terminal; columns named in `right` are set to the right."""
    cells = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in rows]
    width = columns_of(sys.stdout) if sys.stdout.isatty() else None
    answer(render(columns, cells, right=right, width=width, paint=lambda text, style: paint(text, style, sys.stdout)))


def hint(*lines: str) -> None:
    """Next steps, on stderr."""
    for text in lines:
        sys.stderr.write(f"{paint('→', ACCENT, sys.stderr)} {text}\n")


def state(value: str) -> Cell:
    """A state in its colour."""
    return Cell(value, _STATES.get(value.lower(), "red"))


def paint(text: str, style: str, stream: TextIO) -> str:
    """`text` with the escape codes of `style`, where `stream` is a terminal that shows colours."""
    if not style or not in_colour(stream):
        return text
    return f"\x1b[{';'.join(_CODES[word] for word in style.split())}m{text}\x1b[0m"


def in_colour(stream: TextIO) -> bool:
    """Whether colours and moving lines are welcome: a terminal, and neither NO_COLOR nor CI is set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and not os.environ.get("CI")


def console(stream: TextIO) -> Console:
    """rich's console on `stream`, for what rich is needed for: reports, Markdown, spinners."""
    from rich.console import Console

    colour = in_colour(stream)
    return Console(
        file=stream,
        no_color=not colour,
        force_terminal=colour,
        highlight=False,
        width=columns_of(stream),
        height=_LINES,  # both, else rich reads COLUMNS itself, and trusts it
    )


def columns_of(stream: TextIO) -> int:
    """COLUMNS where it says something that makes sense, else the terminal's width, else 100."""
    given = os.environ.get("COLUMNS", "")
    if re.fullmatch("[1-9][0-9]{0,3}", given):
        return int(given)
    try:
        return os.get_terminal_size(stream.fileno()).columns or 100
    except (OSError, ValueError):
        return 100


def _painted(cell: Cell) -> str:
    indent = cell.text[: len(cell.text) - len(cell.text.lstrip(" "))]
    return indent + paint(one_line(cell.text), cell.style, sys.stdout)
