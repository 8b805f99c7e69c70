"""roster.csv, or a class list as a learning platform exports it: every person in it, and what is wrong with which line."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from labctl.cohorts import headings
from labctl.cohorts.headings import Platform, Role
from labctl.cohorts.ids import learner_of
from labctl.cohorts.table import Row, RowProblem, table
from labctl.errors import LabFileError, NotFoundError

__all__ = ["Person", "Roster", "RowProblem", "parse", "read"]

MAX_FILE_BYTES = 4 * 2**20
MAX_CELL_CHARS = 1000
_LONGEST = {"ID": 100, "email address": 254, "name": 200}
_PREAMBLE = 10
_NOTHING = frozenset({"-", "–", "—", "n/a", "na", "none", "null", "nan", "k.a.", "无", "無"})
_EMAIL = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+")
_IN_BRACKETS = re.compile(r"(.*)<\s*(?:mailto:)?([^<>\s]+@[^<>\s]+)\s*>\s*")
_FORMULA = re.compile(r"[=@]|[+-](?![\d\s().-]*$)")
_TEXT_FORMULA = re.compile(r'="([^"]*)"')
"""How platforms keep a spreadsheet from eating the zeros of 00123."""
_SHORTENED = re.compile(r"\d[.,]?\d*E\+?\d+", re.IGNORECASE)
_JOINERS = "\u200c\u200d"
"""Invisible, and part of how Persian and Indian names are written."""
_WORKBOOKS = {b"PK\x03\x04": "a workbook (or another zip)", b"\xd0\xcf\x11\xe0": "an old workbook", b"%PDF": "a PDF"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody on a class list.

    `id` is what labctl calls the learner; the same person keeps it wherever in the list the row stands. `number` is the
    list's own ID or user name, `columns` every cell under its heading, for giving grades back to the list's platform.
    """

    id: str
    name: str
    email: str = ""
    number: str = ""
    line: int = 0
    columns: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """Everybody in the list's order. `problems` are by line; `notes` say what had to be guessed about the whole file."""

    people: tuple[Person, ...]
    problems: tuple[RowProblem, ...] = ()
    notes: tuple[str, ...] = ()
    platform: Platform = ""
    columns: tuple[str, ...] = ()
    roles: Mapping[int, Role] = field(default_factory=dict)
    """What each column holds, by its number from 0, as far as that is understood."""

    def find(self, who: str) -> Person:
        """Whoever has this id, ID, email address or name. Raises NotFoundError for nobody, and for several."""
        wanted = _same(who)
        for what in ("id", "number", "email", "name"):
            found = [person for person in self.people if wanted and _same(getattr(person, what)) == wanted]
            if len(found) == 1:
                return found[0]
            if found:
                ids = ", ".join(person.id for person in found)
                raise NotFoundError(f"{len(found)} people are called {who!r}", f"say which, by id: {ids}")
        raise NotFoundError(
            f"nobody on the list is called {who!r}", "`labctl cohort plan FILE --json` lists everybody's id"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heads:
    """What the columns hold, and from which row on there are people. `of` maps a role to its columns, the best first."""

    names: tuple[str, ...]
    of: Mapping[Role, Sequence[int]]
    first_row: int
    platform: Platform = ""
    notes: tuple[str, ...] = ()


def read(path: Path) -> Roster:
    """The list at `path`. Raises LabFileError where it is no such list: not readable, too large, a workbook, nobody in it."""
    try:
        if path.exists() and not path.is_file():
            raise LabFileError(f"{path}: is no file", "`roster:` names a CSV file")
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise LabFileError(
            f"{path}: cannot be read: {error.strerror}", "check `roster:` and the permissions"
        ) from error
    if len(data) > MAX_FILE_BYTES:
        raise LabFileError(
            f"{path}: larger than {MAX_FILE_BYTES // 2**20} MiB", "a list of people is smaller than that"
        )
    kind = next((kind for mark, kind in _WORKBOOKS.items() if data.startswith(mark)), None)
    if kind:
        raise LabFileError(f"{path}: is {kind}, not CSV", "open it in a spreadsheet and save it as CSV (UTF-8)")
    roster = parse(data)
    if not roster.people:
        lines = [f"{path}: nobody is in it", *(f"{path}:{each.line}: {each.what}" for each in roster.problems[:20])]
        raise LabFileError("\n".join(lines), "one person a line, under the headings Name,Email,ID")
    return roster


def parse(data: bytes) -> Roster:
    """The people of a list as bytes. Pure; a row that is no person is a problem, and the others stay."""
    found = table(data)
    heads = _heads(found.rows)
    problems = list(found.problems)
    people: list[Person] = []
    for row in found.rows[heads.first_row :]:
        if heads.platform == "canvas" and _is_canvas_own(row):
            continue
        person, whys = _person(row, heads)
        problems += [RowProblem(line=row.line, what=why, kept=person is not None) for why in whys]
        if person is not None:
            people.append(person)
    kept, twice = _once(people)
    return Roster(
        people=tuple(kept),
        problems=tuple(sorted([*problems, *twice], key=lambda each: each.line)),
        notes=(*found.notes, *heads.notes),
        platform=heads.platform,
        columns=heads.names,
        roles={column: role for role, columns in heads.of.items() for column in columns[:1]},
    )


def _heads(rows: Sequence[Row]) -> _Heads:
    understood = [headings.roles(row.cells) if _may_be_headings(row) else {} for row in rows[:_PREAMBLE]]
    at = next((number for number, roles in enumerate(understood) if len(roles) > 1), None)
    if at is None:
        if not understood or not understood[0]:
            return _guessed(rows)
        at = 0
    ranked = sorted(understood[at].items(), key=lambda item: item[1][1])
    of: dict[Role, list[int]] = {}
    for column, (role, _) in ranked:
        of.setdefault(role, []).append(column)
    names = _unlike([_clean(cell) for cell in rows[at].cells])
    above = f"what stands above the headings in line {rows[at].line} is left out"
    return _Heads(
        names=names,
        of=of,
        first_row=at + 1,
        platform=headings.platform(names),
        notes=(above,) if at else (),
    )


def _may_be_headings(row: Row) -> bool:
    return not any("@" in cell or cell.strip().isdigit() for cell in row.cells)


def _guessed(rows: Sequence[Row]) -> _Heads:
    """Columns by what is in them, for a list without headings."""
    width = max((len(row.cells) for row in rows), default=0)
    columns = [[cell for row in rows if (cell := _clean("".join(row.cells[at : at + 1])))] for at in range(width)]
    emails = [at for at, cells in enumerate(columns) if _most(["@" in cell for cell in cells])]
    numbers = [at for at, cells in enumerate(columns) if at not in emails and _are_numbers(cells)]
    words = [at for at, cells in enumerate(columns) if cells and at not in (*emails, *numbers) and not _counts(cells)]
    of: dict[Role, list[int]] = {"email": emails, "number": numbers}
    if len(words) > 1 and not _most([" " in cell for cell in columns[words[0]]]):
        of |= {"first": words[:1], "last": words[1:2]}
    else:
        of["name"] = words[:1]
    said = ", ".join(f"column {at + 1} as {role}" for role, places in of.items() for at in places)
    names = tuple(f"column {at + 1}" for at in range(width))
    return _Heads(names=names, of=of, first_row=0, notes=(f"no headings were found; read {said or 'nothing'}",))


def _are_numbers(cells: Sequence[str]) -> bool:
    """Whether they look like IDs; those that only count the rows are none, for they change with the rows."""
    return _most([" " not in cell and any(map(str.isdigit, cell)) for cell in cells]) and not _counts(cells)


def _counts(cells: Sequence[str]) -> bool:
    return [cell.rstrip(".)") for cell in cells] == [str(number) for number in range(1, len(cells) + 1)]


def _most(answers: Sequence[bool]) -> bool:
    return sum(answers) * 2 > len(answers)


def _is_canvas_own(row: Row) -> bool:
    """The rows of a Canvas gradebook that are nobody: the points of each column, and the teacher's test student."""
    return row.cells[0].strip().casefold() in ("points possible", "student, test")


def _person(row: Row, heads: _Heads) -> tuple[Person | None, list[str]]:
    """The person of a row, or None; and what is wrong with it."""
    cells = [_clean(cell) for cell in row.cells]
    whys = _oddities(row.cells, cells, heads.names)
    if any(cells[len(heads.names) :]):
        return None, [f"{len(cells)} cells under {len(heads.names)} headings; put cells with commas in quotes"]
    number, name = _cell(cells, heads, "number"), _name(cells, heads)
    email = _cell(cells, heads, "email") or next((cell for cell in _cells(cells, heads, "number") if "@" in cell), "")
    bracketed = _IN_BRACKETS.fullmatch(email or name)
    if bracketed:
        name = _turned((bracketed[1] if not email else name or bracketed[1]).strip(" \"'"))
        email = bracketed[2]
    email = email.removeprefix("mailto:")
    if email and not _EMAIL.fullmatch(email):
        whys.append(f"{email[:60]!r} is no email address; left out")
        email = ""
    fatal = _fatal(number, email, name)
    if fatal:
        return None, [fatal]
    columns = {head: cell[:MAX_CELL_CHARS] for head, cell in zip(heads.names, cells, strict=False)}
    shown = name or email.partition("@")[0] or number
    id = learner_of(number=number, email=email, name=name)
    return Person(id=id, name=shown, email=email, number=number, line=row.line, columns=columns), whys


def _oddities(raw: Sequence[str], cells: Sequence[str], names: Sequence[str]) -> list[str]:
    """What a reader should know of cells that are kept all the same."""
    whys = []
    for text, cell, name in zip(raw, cells, (*names, *("" for _ in cells)), strict=False):
        if _FORMULA.match(cell):
            whys.append(f"{name} holds a formula, {cell[:60]!r}; it is kept as text")
        if any(unicodedata.category(char) == "Cc" and not char.isspace() for char in text):
            whys.append(f"{name} holds NUL or other control characters; they are left out")
        if len(cell) > MAX_CELL_CHARS:
            whys.append(f"{name} has {len(cell)} characters; cut to {MAX_CELL_CHARS}")
    return whys


def _fatal(number: str, email: str, name: str) -> str | None:
    """Why nobody can be made of this."""
    if not (number or email or name):
        return "neither a name, an email address nor an ID"
    for what, text in zip(_LONGEST, (number, email, name), strict=True):
        if len(text) > _LONGEST[what]:
            return f"the {what} has {len(text)} characters; at most {_LONGEST[what]}: {text[:30]!r}…"
    if _SHORTENED.fullmatch(number):
        return f"a spreadsheet has shortened the ID to {number!r}; give that column the format text there, and export again"
    return None


def _cell(cells: Sequence[str], heads: _Heads, role: Role) -> str:
    """What the person has of `role`, of the best column that says something."""
    text = next(iter(_cells(cells, heads, role)), "")
    return text.removesuffix(".0") if role == "number" and re.fullmatch(r"\d+\.0", text) else text


def _cells(cells: Sequence[str], heads: _Heads, role: Role) -> list[str]:
    found = [cells[at] for at in heads.of.get(role, ()) if at < len(cells)]
    return [cell for cell in found if cell and cell.casefold() not in _NOTHING]


def _name(cells: Sequence[str], heads: _Heads) -> str:
    first, last = _cell(cells, heads, "first"), _cell(cells, heads, "last")
    if not first and not last:
        return _turned(_cell(cells, heads, "name"))
    if all(unicodedata.name(char, "").startswith("CJK") for char in first + last):
        return last + first  # Chinese and Japanese names: the family first, and no blank
    return f"{first} {last}".strip()


def _turned(name: str) -> str:
    """`Lovelace, Ada` the other way round."""
    last, comma, first = name.partition(",")
    return f"{first.strip()} {last.strip()}".strip() if comma and "," not in first else name


def _clean(cell: str) -> str:
    """Without control and invisible characters, with single blanks, and composed as Unicode has it."""
    shown = (
        char for char in cell if char.isspace() or char in _JOINERS or unicodedata.category(char) not in ("Cc", "Cf")
    )
    text = " ".join(unicodedata.normalize("NFC", "".join(shown)).split())
    kept = _TEXT_FORMULA.fullmatch(text)
    return kept[1].strip() if kept else text


def _unlike(names: Iterable[str]) -> tuple[str, ...]:
    """Every heading once: a second `Name` becomes `Name (2)`."""
    found: list[str] = []
    for at, name in enumerate(names, 1):
        name = name or f"column {at}"
        copies = sum(other == name or other.startswith(f"{name} (") for other in found)
        found.append(f"{name} ({copies + 1})" if name in found else name)
    return tuple(found)


def _once(people: Sequence[Person]) -> tuple[list[Person], list[RowProblem]]:
    """Those that come first, and what is said of those that come again."""
    seen: dict[tuple[str, str], Person] = {}
    kept, problems = [], []
    for person in people:
        keys = [("ID", _same(person.number)), ("email address", _same(person.email)), ("labctl id", person.id)]
        clash = next(((what, seen[what, key]) for what, key in keys if key and (what, key) in seen), None)
        if clash is None:
            seen.update({(what, key): person for what, key in keys if key})
            kept.append(person)
            continue
        what, other = clash
        named = person.email if what == "email address" else person.number if what == "ID" else person.name
        hint = "; give both an ID or an email address" if what == "labctl id" else ""
        problems.append(RowProblem(line=person.line, what=f"the same {what} as line {other.line} ({named}){hint}"))
    return kept, problems


def _same(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
