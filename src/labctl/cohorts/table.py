"""The bytes of a list as rows of cells: whatever saved it, in whatever encoding, with whatever between the cells. Pure."""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from labctl.cohorts.headings import roles

MAX_LINE_CHARS = 20_000
MAX_LINES_OF_A_ROW = 10
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_SAMPLE = 30
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16's, which it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_HIGH = re.compile(rb"[\x80-\xff]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class RowProblem:
    """What is wrong with a line of a list, counted from 1. `kept` tells whether its person is in the roster all the same."""

    line: int
    what: str
    kept: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row, and the line it begins on."""

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows that hold something, lines that are no row, and in `notes` what had to be guessed."""

    rows: tuple[Row, ...]
    problems: tuple[RowProblem, ...]
    notes: tuple[str, ...]


def table(data: bytes) -> Table:
    """The rows of a list. Blank lines and lines that begin with `# ` are none."""
    text, notes = decode(data)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    said = re.fullmatch(r"sep=(.)", lines[0].strip(" \"'"), re.IGNORECASE)  # Excel's own first line
    first = 1 if said else 0
    delimiter = said[1] if said else _delimiter(lines)
    rows, problems = [], []
    for found in _rows(lines, first, delimiter):
        if isinstance(found, RowProblem):
            problems.append(found)
        else:
            rows.append(found)
    return Table(rows=tuple(rows), problems=tuple(problems), notes=notes)


def decode(data: bytes) -> tuple[str, tuple[str, ...]]:
    """The text, and what to say aloud when it is not UTF-8 or does not say what it is."""
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return data[len(bom) :].decode(encoding, errors="replace"), ()
    wide = _wide(data)
    if wide:
        return data.decode(wide, errors="replace"), (f"read as {wide.upper()}, which it does not say it is",)
    try:
        return data.decode("utf-8"), ()
    except UnicodeDecodeError:
        pass
    if _is_chinese(data):
        return data.decode("gb18030"), ("not UTF-8; read as GB18030. If names look wrong, save it as UTF-8",)
    lines = data.split(b"\n")
    odd = [number for number, line in enumerate(lines, 1) if not _is_utf8(line)]
    if any(not line.isascii() and _is_utf8(line) for line in lines):
        shown = ", ".join(map(str, odd[:5])) + (" …" if len(odd) > 5 else "")
        text = "\n".join(line.decode() if _is_utf8(line) else _western(line) for line in lines)
        return text, (f"UTF-8, except line {shown}: read as Windows-1252. If names look wrong there, mend them",)
    return _western(data), ("not UTF-8; read as Windows-1252 (Western). If names look wrong, save it as UTF-8",)


def _wide(data: bytes) -> str | None:
    """UTF-16 without a mark: of ASCII letters every other byte is NUL."""
    head = data[:4096]
    zeros = [head[start::2].count(0) for start in (0, 1)]
    if len(head) < 4 or max(zeros) < len(head) // 5 or min(zeros) * 10 > max(zeros):
        return None
    return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"


def _is_chinese(data: bytes) -> bool:
    """GB18030 writes nearly every Chinese letter as two bytes above 0x7f; in Western lists such bytes stand alone."""
    runs = [len(run) for run in _HIGH.findall(data)]
    if sum(length % 2 == 0 for length in runs) < 0.8 * len(runs):
        return False
    try:
        data.decode("gb18030")
    except UnicodeDecodeError:
        return False
    return True


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _western(data: bytes) -> str:
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:  # five bytes mean nothing in it
        return data.decode("latin-1")


def _delimiter(lines: Sequence[str]) -> str:
    """What stands between cells: that with which headings are understood, and rows have equally many."""
    sample = [line for line in lines if line.strip()][:_SAMPLE]
    return max(DELIMITERS, key=lambda delimiter: _agreement(sample, delimiter))


def _agreement(lines: Sequence[str], delimiter: str) -> tuple[int, int, int]:
    rows = [row.cells for row in _rows(lines, 0, delimiter) if isinstance(row, Row)]
    counts = Counter(len(cells) for cells in rows)
    cells, times = max(counts.items(), key=lambda item: (item[0] > 1, item[1]), default=(0, 0))
    understood = max((len(roles(cells)) for cells in rows if len(cells) > 1), default=0)
    return understood, times if cells > 1 else 0, cells


def _rows(lines: Sequence[str], first: int, delimiter: str) -> Iterator[Row | RowProblem]:
    """Rows, and lines that are none. A quote that is never closed spoils its own line and no other."""
    at = first
    while at < len(lines):
        line, number = lines[at], at + 1
        at += 1
        if not line.strip(f" \0{delimiter}") or line.startswith("# "):
            continue
        if len(line) > MAX_LINE_CHARS:
            yield RowProblem(line=number, what=f"the line has {len(line)} characters; at most {MAX_LINE_CHARS}")
            continue
        more = islice(lines, at - 1, at - 1 + MAX_LINES_OF_A_ROW)
        reader = csv.reader((f"{text}\n" for text in more), delimiter=delimiter, strict=True)
        try:
            cells = next(reader)
        except csv.Error:
            yield RowProblem(line=number, what=f"a quote is not closed, or not doubled within quotes: {line[:60]!r}")
            continue
        at += reader.line_num - 1
        yield Row(line=number, cells=tuple(cells))
