"""Aligned tables without lines. Our own forty lines, because the library for it takes longer to load than `labctl list` to run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple
from unicodedata import east_asian_width

from labctl.reports.plain import one_line

GAP = 3
NARROWEST = 12


class Cell(NamedTuple):
    """Words and how they look: `bold`, `dim`, `red`, `green`, `yellow`, `cyan`, or several with blanks between."""

    text: str
    style: str = ""


def render(
    columns: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    *,
    right: Sequence[str] = (),
    width: int | None = None,
    paint: Callable[[str, str], str] = lambda text, _style: text,
) -> str:
    """The table as text. With `width`, the widest columns wrap until it fits; headings are left out when all are empty.

    >>> print(render(("NAME", "N"), [[Cell("a"), Cell("1")], [Cell("bcde"), Cell("20")]], right=("N",)))
    NAME    N
    a       1
    bcde   20
    """
    head = [[Cell(column, "bold cyan") for column in columns]] if any(columns) else []
    cells = [[Cell(one_line(cell.text), cell.style) for cell in row] for row in (*head, *rows)]
    widths = _fitted([max(map(_width, column)) for column in zip(*cells, strict=True)], width)
    lines = [line for row in cells for line in _lines(row, widths, [column in right for column in columns], paint)]
    return "\n".join(lines)


def _fitted(widths: list[int], width: int | None) -> list[int]:
    """`widths`, the widest made narrower until all fit into `width`, but none narrower than it may be."""
    while width is not None and sum(widths) + GAP * (len(widths) - 1) > width:
        widest = max(range(1, len(widths)), key=widths.__getitem__, default=0)
        if widths[widest] <= NARROWEST:  # the first column is what the others are about: it is the last to wrap
            widest = 0
        if widths[widest] <= NARROWEST:
            break
        widths[widest] -= 1
    return widths


def _lines(
    row: Sequence[Cell], widths: Sequence[int], right: Sequence[bool], paint: Callable[[str, str], str]
) -> list[str]:
    wrapped = [_wrap(cell.text, width) for cell, width in zip(row, widths, strict=True)]
    lines = []
    for number in range(max(map(len, wrapped))):
        parts = []
        for cell, texts, width, to_right in zip(row, wrapped, widths, right, strict=True):
            text = texts[number] if number < len(texts) else ""
            blanks = " " * (width - _text_width(text))
            painted = paint(text, cell.style) if text else ""
            parts.append(blanks + painted if to_right else painted + blanks)
        lines.append((" " * GAP).join(parts).rstrip())
    return lines


def _wrap(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` columns, broken at blanks where there are any."""
    lines, line = [], ""
    for word in text.split(" "):
        if line and _text_width(line) + 1 + _text_width(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
        while _text_width(line) > width:
            cut = next(end for end in range(len(line), 0, -1) if _text_width(line[:end]) <= max(width, 2))
            lines.append(line[:cut])
            line = line[cut:]
    return [*lines, line]


def _width(cell: Cell) -> int:
    return _text_width(cell.text)


def _text_width(text: str) -> int:
    """Columns on a terminal: Chinese, Japanese and Korean letters take two."""
    return len(text) if text.isascii() else sum(2 if east_asian_width(char) in "WF" else 1 for char in text)
