"""The grades of a class as files: CSV, JSON, and the forms in which learning platforms take them back. Pure.

Sources of the forms: Canvas "Gradebook CSV file", Moodle "Grade import", Blackboard "Upload grades", Brightspace "Import grades".
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Sequence

from labctl.cohorts.grades import Grade, Row
from labctl.cohorts.roster import Person
from labctl.cohorts.spec import Cohort
from labctl.store.records import iso

_FORMULA = re.compile(r"[=+@\t\r-]")
"""How a cell begins that a spreadsheet would carry out."""
_CANVAS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")


def as_csv(cohort: Cohort, rows: Sequence[Row]) -> str:
    """Who each is, the percent of each lab, and their mean."""
    head = ["id", "number", "name", "email", *(f"{lab} %" for lab in cohort.labs), "mean %"]
    return _csv(
        head,
        (
            [
                *_who(row.person).values(),
                *(f"{row.grades[lab].percent:g}" for lab in cohort.labs),
                f"{row.mean_percent:g}",
            ]
            for row in rows
        ),
    )


def as_json(cohort: Cohort, rows: Sequence[Row]) -> str:
    """Everything that is known of each grade."""
    grades = [
        {
            **_who(row.person),
            "mean_percent": row.mean_percent,
            "labs": {lab: {"session": row.seats[lab].session, **_grade(row.grades[lab])} for lab in cohort.labs},
        }
        for row in rows
    ]
    return json.dumps({"schema": 1, "cohort": cohort.name, "grades": grades}, ensure_ascii=False, indent=2) + "\n"


def as_canvas(cohort: Cohort, rows: Sequence[Row]) -> str:
    """Canvas: the columns of its own export come back as they were, each lab a column with its points."""
    possible = ["    Points Possible", "", "", "", "", *(str(_possible(rows, lab)) for lab in cohort.labs)]
    return _csv(
        [*_CANVAS, *cohort.labs],
        [possible, *([*_canvas(row.person), *_points(cohort, row)] for row in rows)],
    )


def as_moodle(cohort: Cohort, rows: Sequence[Row]) -> str:
    """Moodle: people by email address and ID number, whichever the import is told to go by."""
    head = ["Full name", "ID number", "Email address", *cohort.labs]
    return _csv(head, ([*_named(row.person), *_points(cohort, row)] for row in rows))


def as_blackboard(cohort: Cohort, rows: Sequence[Row]) -> str:
    """Blackboard: people by user name."""
    head = ["Username", *(f"{lab} [Total Pts: {_possible(rows, lab)} Score]" for lab in cohort.labs)]
    return _csv(head, ([_user_name(row.person), *_points(cohort, row)] for row in rows))


def as_brightspace(cohort: Cohort, rows: Sequence[Row]) -> str:
    """Brightspace: people by OrgDefinedId; each line ends with the mark that it asks for."""
    items = [f"{lab} Points Grade <Numeric MaxPoints:{_possible(rows, lab)}>" for lab in cohort.labs]
    return _csv(
        ["OrgDefinedId", *items, "End-of-Line Indicator"],
        ([row.person.number, *_points(cohort, row), "#"] for row in rows),
    )


FORMATS: dict[str, Callable[[Cohort, Sequence[Row]], str]] = {
    "csv": as_csv,
    "json": as_json,
    "canvas": as_canvas,
    "moodle": as_moodle,
    "blackboard": as_blackboard,
    "brightspace": as_brightspace,
}
"""What `--format` accepts: a name, and the pure function to the whole text of the file."""


def _csv(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(head)
    writer.writerows([harmless(cell) for cell in row] for row in rows)
    return out.getvalue()


def harmless(text: str) -> str:
    """`text` behind an apostrophe where a spreadsheet would carry it out.

    >>> harmless("=1+1"), harmless("Ada"), harmless("-0.5")
    ("'=1+1", 'Ada', '-0.5')
    """
    return f"'{text}" if _FORMULA.match(text) and not re.fullmatch(r"-?[\d.]+", text) else text


def _who(person: Person) -> dict[str, str]:
    return {"id": person.id, "number": person.number, "name": person.name, "email": person.email}


def _named(person: Person) -> list[str]:
    return [person.name, person.number, person.email]


def _canvas(person: Person) -> list[str]:
    """Its own columns, else the same from what is known."""
    known = {"Student": person.name, "SIS User ID": person.number, "SIS Login ID": person.email}
    return [person.columns.get(head) or known.get(head, "") for head in _CANVAS]


def _user_name(person: Person) -> str:
    own = next(
        (person.columns[head] for head in ("Username", "User name", "Benutzername") if person.columns.get(head)), ""
    )
    return own or person.number or person.email.partition("@")[0]


def _points(cohort: Cohort, row: Row) -> list[str]:
    """The points of each lab; nothing where there was no attempt that counts, which platforms take for "not handed in"."""
    grades = [row.grades[lab] for lab in cohort.labs]
    return [f"{grade.points:g}" if grade.attempt else "" for grade in grades]


def _possible(rows: Sequence[Row], lab: str) -> int:
    """The most that there was to be had in the lab; 100 as long as nobody was verified."""
    return max((row.grades[lab].max_points for row in rows), default=0) or 100


def _grade(grade: Grade) -> dict[str, object]:
    return {
        "points": grade.points,
        "max_points": grade.max_points,
        "percent": grade.percent,
        "outcome": grade.attempt.outcome if grade.attempt else None,
        "at": iso(grade.attempt.at) if grade.attempt else None,
        "attempts": grade.attempts,
        "days_late": grade.days_late,
    }
