"""Courses: labs and reading in order, in `courses.yaml` of a folder of labs. Light like the catalogue: YAML only.

What such a file may hold is said by the models of `course_spec`, which `labctl lab validate` holds against it; here it is only read.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labctl.errors import LabFileError, NotFoundError
from labctl.labs.catalog import Summary, search_path
from labctl.labs.source import Loc, Source, read_source

COURSES_FILE = "courses.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Something to read. `time` is how long it takes, as the course says it; `url` is empty when there is none."""

    title: str
    url: str = ""
    time: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A part of a course: a lab with what to read for it, or reading alone, `lab` being None.

    `after` names labs to pass first, `part` the part of the course that begins here, `time` is how long it takes.
    """

    lab: str | None = None
    after: tuple[str, ...] = ()
    part: str = ""
    time: str = ""
    reads: tuple[Reading, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A course as its file says it. `prerequisites` are words: what to know or to have before it begins."""

    id: str
    title: str
    prerequisites: tuple[str, ...]
    steps: tuple[Step, ...]

    @property
    def labs(self) -> list[str]:
        return [step.lab for step in self.steps if step.lab]

    def locked_by(self, lab: str, passed: Collection[str]) -> list[str]:
        """The labs to pass before this one that are not among those `passed`; of one that is passed, none."""
        if lab in passed:
            return []
        wanted = [name for step in self.steps if step.lab == lab for name in step.after]
        return [name for name in dict.fromkeys(wanted) if name not in passed]

    def next(self, passed: Collection[str]) -> str | None:
        """The first lab that is not passed and not locked; None when there is none left."""
        return next((lab for lab in self.labs if lab not in passed and not self.locked_by(lab, passed)), None)


def files(more: Sequence[Path] = ()) -> list[Path]:
    """Every file of courses on the search path of labs, first match first."""
    return [folder / COURSES_FILE for folder in search_path(more) if (folder / COURSES_FILE).is_file()]


def load(course: str, rows: Sequence[Summary], more: Sequence[Path] = ()) -> Course:
    """The course of this name. Raises NotFoundError for an unknown one, LabFileError for a file that is wrong or an unknown lab."""
    known: list[str] = []
    for file in files(more):
        source = read_source(file)
        courses = _mapping(source)
        if course in courses:
            found = _course(source, course, courses[course])
            unknown = unknown_labs(source, course, courses[course], {row.id for row in rows})
            if unknown:
                raise LabFileError(unknown[0], "`labctl list` shows the labs there are")
            return found
        known += courses
    names = ", ".join(sorted(set(known))) or "there are none yet"
    raise NotFoundError(f"no course named {course!r}", f"courses: {names}")


def unknown_labs(source: Source, course: str, values: Any, labs: Collection[str]) -> list[str]:
    """One line, with its place, for each name of a lab that does not exist."""
    named: list[tuple[Loc, str]] = []
    for index, item in enumerate(values["labs"]):
        place: Loc = (course, "labs", index)
        if isinstance(item, str):
            named.append((place, item))
        elif isinstance(item, dict):
            named += [((*place, "lab"), item["lab"])] if "lab" in item else []
            named += [((*place, "after", number), name) for number, name in enumerate(item.get("after", []))]
    return [f"{source.at(place)}: no lab named {name!r}" for place, name in named if name not in labs]


def _mapping(source: Source) -> dict[str, Any]:
    if not isinstance(source.data, dict):
        raise LabFileError(f"{source.path}:1:1: not a mapping of courses", "write `name: {title: …, labs: [lab, …]}`")
    return source.data


def _course(source: Source, id: str, values: Any) -> Course:
    labs = values.get("labs") if isinstance(values, dict) else None
    if not isinstance(labs, list):
        raise LabFileError(f"{source.at((id,))}: {id}: needs `labs`, a list of lab ids", "write `labs: [lab, …]`")
    try:
        return Course(
            id=id,
            title=str(values.get("title", id)),
            prerequisites=tuple(map(str, values.get("prerequisites", []))),
            steps=tuple(map(_step, labs)),
        )
    except (AttributeError, TypeError, KeyError) as error:
        raise LabFileError(
            f"{source.at((id, 'labs'))}: {id}: not as a course must be", "`labctl lab validate` says where and why"
        ) from error


def _step(item: Any) -> Step:
    values = {"lab": item} if isinstance(item, str) else item
    lab, after = values.get("lab"), tuple(values.get("after", []))
    if not all(isinstance(name, str) for name in (lab or "", *after)):
        raise TypeError("a lab's id is a text")
    return Step(
        lab=lab,
        after=after,
        part=str(values.get("part", "")),
        time=_time(values),
        reads=tuple(map(_reading, values.get("reads", []))),
    )


def _reading(item: Any) -> Reading:
    values = {"title": item} if isinstance(item, str) else item
    return Reading(title=str(values["title"]), url=str(values.get("url", "")), time=_time(values))


def _time(values: dict[str, Any]) -> str:
    hours = values.get("hours")
    return str(values.get("time", "")) or (f"{hours:g} h" if hours is not None else "")
