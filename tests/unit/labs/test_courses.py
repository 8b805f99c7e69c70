"""Courses: what is next, what is locked by what, and mistakes in a file of courses with their places."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.errors import LabFileError, NotFoundError
from labctl.labs import catalog, course_spec, courses
from labctl.labs.courses import Course

WriteLab = Callable[..., Path]
COURSES = """\
short:
  title: A short course
  prerequisites: [Python]
  labs:
    - lab-a
    - {reads: [{title: A chapter, time: 1 week}], part: "Part 2"}
    - {lab: lab-b, after: [lab-a], hours: 2, reads: [A paper, {title: Another, url: "https://example.org/"}]}
    - {lab: lab-c, after: [lab-a, lab-b], time: 3 days}
"""
IDS = ("lab-a", "lab-b", "lab-c")


@pytest.fixture
def labs(home: Path, write_lab: WriteLab) -> Path:
    for id in IDS:
        write_lab(id)
    return home / "labs"


def load(labs: Path, text: str, name: str = "short") -> Course:
    (labs / "courses.yaml").write_text(text)
    return courses.load(name, catalog.summaries([labs]), [labs])


def test_a_course_is_read_in_its_order_with_reading_between(labs: Path) -> None:
    course = load(labs, COURSES)
    assert course.labs == list(IDS)
    assert course.prerequisites == ("Python",)
    assert [(step.lab, step.part, step.time) for step in course.steps] == [
        ("lab-a", "", ""),
        (None, "Part 2", ""),
        ("lab-b", "", "2 h"),
        ("lab-c", "", "3 days"),
    ]
    assert [(each.title, each.url, each.time) for each in course.steps[1].reads] == [("A chapter", "", "1 week")]
    assert [(each.title, each.url) for each in course.steps[2].reads] == [
        ("A paper", ""),
        ("Another", "https://example.org/"),
    ]


@pytest.mark.parametrize(
    ("passed", "following", "locked"),
    [
        ((), "lab-a", {"lab-b": ["lab-a"], "lab-c": ["lab-a", "lab-b"]}),
        (("lab-a",), "lab-b", {"lab-c": ["lab-b"]}),
        (("lab-b",), "lab-a", {"lab-c": ["lab-a"]}),  # out of order: what is passed is not locked
        (("lab-a", "lab-b"), "lab-c", {}),
        (IDS, None, {}),
    ],
)
def test_next_is_the_first_that_is_neither_passed_nor_locked(
    labs: Path, passed: tuple[str, ...], following: str | None, locked: dict[str, list[str]]
) -> None:
    course = load(labs, COURSES)
    assert course.next(passed) == following
    assert {lab: by for lab in IDS if (by := course.locked_by(lab, passed))} == locked


@pytest.mark.parametrize(
    ("old", "new", "where", "why"),
    [
        ("- lab-a\n", "- lab-x\n", "courses.yaml:5:7", "no lab named 'lab-x'"),
        ("after: [lab-a, lab-b]", "after: [lab-a, lab-x]", "courses.yaml:8:35", "no lab named 'lab-x'"),
        ("{reads:", "{raeds:", "courses.yaml:6:8", "unknown key; did you mean 'reads'?"),
        (", time: 1 week", ", time: 1 week, hours: 3", "courses.yaml:6:16", "give `hours` or `time`, not both"),
        (
            '{reads: [{title: A chapter, time: 1 week}], part: "Part 2"}',
            "{hours: 3}",
            "6:7",
            "give a lab, or something",
        ),
        ("{lab: lab-b, after: [lab-a]", "{after: [lab-a]", "courses.yaml:7:7", "`after` is for labs"),
        (
            "after: [lab-a],",
            "after: [lab-c],",
            "courses.yaml:1:1",
            "'lab-b' is after 'lab-c', which does not come before",
        ),
        ("- {lab: lab-c", "- {lab: lab-b", "courses.yaml:1:1", "the lab 'lab-b' is in it twice"),
        ("title: A short course", "titel: x", "courses.yaml:1:1", "short.title: is missing"),
        ("https://", "javascript:", "courses.yaml:7:", "should match pattern"),
    ],
)
def test_a_mistake_is_reported_with_its_place(labs: Path, old: str, new: str, where: str, why: str) -> None:
    file = labs / "courses.yaml"
    assert old in COURSES
    file.write_text(COURSES)
    assert course_spec.problems(file, IDS) == []
    file.write_text(COURSES.replace(old, new))
    found = [line for line in course_spec.problems(file, IDS) if why in line]
    assert len(found) == 1
    assert where in found[0]


def test_a_lab_that_does_not_exist_keeps_the_course_from_being_shown(labs: Path) -> None:
    with pytest.raises(LabFileError, match=r"courses\.yaml:7:8: no lab named 'lab-x'"):
        load(labs, COURSES.replace("lab: lab-b", "lab: lab-x"))


@pytest.mark.parametrize(
    "labs_value",
    [
        "x",
        "{a: b}",
        "[1]",
        "[{reads: 1}]",
        "[{reads: [{}]}]",
        "[{lab: [x]}]",
        "[{lab: lab-a, after: [[x]]}]",
        "[{lab: lab-a, after: 3}]",
    ],
)
def test_a_file_that_is_no_course_is_an_error_of_the_file(labs: Path, labs_value: str) -> None:
    with pytest.raises(LabFileError, match=r"courses\.yaml:1:"):
        load(labs, f"short: {{title: x, labs: {labs_value}}}\n")


def test_an_unknown_course_names_those_there_are(labs: Path) -> None:
    with pytest.raises(NotFoundError) as caught:
        load(labs, COURSES, "long")
    assert "short" in caught.value.hint
    assert "path" in caught.value.hint


def test_the_courses_that_ship_are_without_a_mistake() -> None:
    file = catalog.builtin_folder() / courses.COURSES_FILE
    assert course_spec.problems(file, {row.id for row in catalog.summaries()}) == []
