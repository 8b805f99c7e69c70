"""Somebody more on a list of people, or somebody less: the one line that changes, and the rest of the file as it is."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from labctl.cohorts import roster
from labctl.cohorts.roster import Person, Roster
from labctl.cohorts.table import DELIMITERS
from labctl.disk import write_atomically
from labctl.errors import LabFileError, UsageError


def add(path: Path, *, name: str, email: str = "", number: str = "") -> Person:
    """Write a line for somebody at the end of the list, who is not on it yet; the person.

    Raises UsageError for who is on it or cannot be on any list, LabFileError for a list that cannot be read or written.
    """
    before = roster.read(path)
    text = _text(path)
    line = _line(text, before, {"name": name, "email": email, "number": number})
    end = "\r\n" if "\r\n" in text else "\n"
    text = f"{text}{'' if text.endswith(end) else end}{line}{end}"
    after = roster.parse(text.encode())
    new = [person for person in after.people if person.id not in {each.id for each in before.people}]
    if len(new) != 1 or len(after.people) != len(before.people) + 1:
        said = [each.what for each in after.problems if each.line == text.count("\n")]
        raise UsageError(
            f"{name!r} was not added: {said[-1] if said else 'the list has no such columns'}", f"edit {path}"
        )
    _write(path, text)
    return new[0]


def remove(path: Path, who: str) -> Person:
    """Take somebody off the list; who it was. Raises NotFoundError, and LabFileError as `add` does."""
    before = roster.read(path)
    person = before.find(who)
    lines = _text(path).split("\n")
    text = "\n".join(lines[: person.line - 1] + lines[person.line :])
    left = [each.id for each in roster.parse(text.encode()).people]
    if left != [each.id for each in before.people if each != person]:
        raise LabFileError(f"{path}:{person.line}: {person.name} stands on more than one line", f"edit {path}")
    _write(path, text)
    return person


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")  # with its mark, if it has one: Excel wants it back
    except UnicodeDecodeError as error:
        raise LabFileError(
            f"{path}: is not UTF-8, and is not written to", "save it as CSV (UTF-8), or edit it"
        ) from error


def _line(text: str, known: Roster, values: dict[str, str]) -> str:
    """The cells in the list's own order and with what stands between them."""
    first, _, last = values["name"].rpartition(" ")
    values = {**values, "first": first or last, "last": last if first else ""}
    cells = [values.get(known.roles.get(column, ""), "") for column in range(len(known.columns))]
    head = next((line for line in text.splitlines() if all(name in line for name in known.columns)), "")
    out = io.StringIO()
    csv.writer(out, delimiter=max(DELIMITERS, key=head.count), lineterminator="").writerow(cells)
    return out.getvalue()


def _write(path: Path, text: str) -> None:
    try:
        mode = path.stat().st_mode
        write_atomically(path, text)
        path.chmod(mode)
    except OSError as error:
        raise LabFileError(f"{path}: cannot be written: {error.strerror}", "check its permissions") from error
