"""Grades as files: what each platform takes back, and that no cell is a formula."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime

import pytest

from labctl.cohorts import gradebook, roster
from labctl.cohorts.grades import Row, rows
from labctl.cohorts.seat import seats
from labctl.cohorts.spec import Cohort
from labctl.store.records import Attempt

COHORT = Cohort.model_validate({"name": "autumn", "labs": ["one", "two"], "roster": "r.csv"})
LISTS = {
    "canvas": 'Student,ID,SIS User ID,SIS Login ID,Section\n    Points Possible,,,,\n"Lovelace, Ada",77,S1,ada,A 1\n',
    "moodle": "First name,Surname,ID number,Email address\nAda,Lovelace,S1,ada@example.org\n",
    "blackboard": "Last Name,First Name,Username,Student ID,Last Access\nLovelace,Ada,ada1,S1,\n",
    "brightspace": "OrgDefinedId,Username,Last Name,First Name\nS1,ada1,Lovelace,Ada\n",
    "csv": "Name,ID\n=cmd(),S1\n",
}
WANTED = {
    "canvas": [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "one", "two"],
        ["    Points Possible", "", "", "", "", "10", "100"],
        ["Lovelace, Ada", "77", "S1", "ada", "A 1", "7", ""],
    ],
    "moodle": [
        ["Full name", "ID number", "Email address", "one", "two"],
        ["Ada Lovelace", "S1", "ada@example.org", "7", ""],
    ],
    "blackboard": [
        ["Username", "one [Total Pts: 10 Score]", "two [Total Pts: 100 Score]"],
        ["ada1", "7", ""],
    ],
    "brightspace": [
        ["OrgDefinedId", "one Points Grade <Numeric MaxPoints:10>", "two Points Grade <Numeric MaxPoints:100>", "End-of-Line Indicator"],
        ["S1", "7", "", "#"],
    ],
    "csv": [
        ["id", "number", "name", "email", "one %", "two %", "mean %"],
        ["s1", "S1", "'=cmd()", "", "70", "0", "35"],
    ],
}  # fmt: skip


def graded(text: str) -> list[Row]:
    people = roster.parse(text.encode()).people
    attempt = Attempt(id=1, score=7, max_score=10, outcome="fail", at=datetime(2026, 9, 1, tzinfo=UTC))
    return rows(COHORT, seats(COHORT, people), {f"one--autumn--{person.id}": [attempt] for person in people})


@pytest.mark.parametrize("platform", LISTS)
def test_a_list_comes_back_as_its_platform_takes_grades(platform: str) -> None:
    text = gradebook.FORMATS[platform](COHORT, graded(LISTS[platform]))
    assert list(csv.reader(io.StringIO(text))) == WANTED[platform]


def test_json_says_everything_that_is_known_of_a_grade() -> None:
    values = json.loads(gradebook.FORMATS["json"](COHORT, graded(LISTS["moodle"])))
    (ada,) = values["grades"]
    assert (ada["name"], ada["mean_percent"]) == ("Ada Lovelace", 35.0)
    assert ada["labs"]["one"] == {
        "session": "one--autumn--s1", "points": 7.0, "max_points": 10, "percent": 70.0, "outcome": "fail",
        "at": "2026-09-01T00:00:00Z", "attempts": 1, "days_late": 0,
    }  # fmt: skip
    assert ada["labs"]["two"]["outcome"] is None
