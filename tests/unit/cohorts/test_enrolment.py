"""A list of people with somebody more or less: nothing else in the file changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.cohorts import enrolment, roster
from labctl.errors import LabctlError

SIMPLE = "Name,Email,ID\nAda Lovelace,ada@example.org,1001\n"
MOODLE = "\ufeffFirst name;Surname;ID number;Email address;Groups\r\nGrace;Hopper;1002;grace@example.org;A\r\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (SIMPLE, "李 雷,li@example.org,7\n"),
        (SIMPLE.removesuffix("\n"), "\n李 雷,li@example.org,7\n"),
        (MOODLE, "李;雷;7;li@example.org;\r\n"),
        ("Ada Lovelace,ada@example.org\n", "李 雷,li@example.org\n"),  # without headings
    ],
)
def test_somebody_more_is_one_line_in_the_lists_own_form(tmp_path: Path, text: str, line: str) -> None:
    path = tmp_path / "roster.csv"
    path.write_bytes(text.encode())
    path.chmod(0o640)
    person = enrolment.add(path, name="李 雷", email="li@example.org", number="7")
    assert path.read_bytes().decode() == text + line
    assert path.stat().st_mode & 0o777 == 0o640
    assert roster.read(path).people[-1].id == person.id
    assert enrolment.remove(path, person.id).email == "li@example.org"
    assert path.read_bytes().decode() == (text if text.endswith("\n") else f"{text}\n")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"name": "Ada again", "email": "ada@example.org"}, "the same email address as line 2"),
        ({"name": "Eve", "number": "1001"}, "the same ID as line 2"),
        ({"name": ""}, "was not added"),
    ],
)
def test_who_cannot_be_on_the_list_is_refused_and_nothing_is_written(
    tmp_path: Path, values: dict[str, str], words: str
) -> None:
    path = tmp_path / "roster.csv"
    path.write_text(SIMPLE)
    with pytest.raises(LabctlError, match=words):
        enrolment.add(path, **values)
    assert path.read_text() == SIMPLE


def test_a_list_that_is_not_utf_8_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "roster.csv"
    path.write_bytes("Name\nJörg\n".encode("cp1252"))
    with pytest.raises(LabctlError, match="is not UTF-8, and is not written to"):
        enrolment.add(path, name="Ada")
    with pytest.raises(LabctlError, match="nobody on the list is called 'Ada'"):
        enrolment.remove(path, "Ada")
