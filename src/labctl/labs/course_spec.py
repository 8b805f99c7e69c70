"""courses.yaml as models, for `labctl lab validate`. `courses` reads the same file without them, because it is waited for."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, RootModel, model_validator

from labctl.checks.base import Model, NonEmpty
from labctl.errors import LabFileError
from labctl.labs.courses import unknown_labs
from labctl.labs.lab import validate
from labctl.labs.source import read_source
from labctl.labs.spec import Id


def _short_for(key: str) -> BeforeValidator:
    """A text alone stands for the one field that cannot be left out."""
    return BeforeValidator(lambda value: {key: value} if isinstance(value, str) else value)


class _Timed(Model):
    hours: float | None = Field(default=None, gt=0, le=10_000)
    """How long it takes."""
    time: NonEmpty | None = None
    """How long it takes, in words such as "1 week"; instead of `hours`."""

    @model_validator(mode="after")
    def _said_once(self) -> _Timed:
        if self.hours is not None and self.time is not None:
            raise ValueError("give `hours` or `time`, not both")
        return self


class CourseReading(_Timed):
    """Something to read; a text alone is its title."""

    title: NonEmpty
    url: Annotated[str, Field(pattern=r"^https?://")] | None = None


class CourseStep(_Timed):
    """A part of a course: a lab, with what to read for it, or reading alone. A text alone is a lab's id."""

    lab: Id | None = None
    after: list[Id] = []
    """Labs to pass before this one."""
    part: NonEmpty | None = None
    """The part of the course that begins here."""
    reads: list[Annotated[CourseReading, _short_for("title")]] = []

    @model_validator(mode="after")
    def _is_something(self) -> CourseStep:
        if self.lab is None and not self.reads:
            raise ValueError("give a lab, or something to read")
        if self.after and self.lab is None:
            raise ValueError("`after` is for labs; reading is never locked")
        return self


class Course(Model):
    """Labs and reading in the order in which they are best done."""

    title: NonEmpty
    prerequisites: list[NonEmpty] = []
    """What to know or to have before it begins, in words."""
    labs: Annotated[list[Annotated[CourseStep, _short_for("lab")]], Field(min_length=1)]

    @model_validator(mode="after")
    def _can_be_done_in_order(self) -> Course:
        labs = [step.lab for step in self.labs if step.lab]
        for index, lab in enumerate(labs):
            if lab in labs[:index]:
                raise ValueError(f"the lab {lab!r} is in it twice")
        for step in self.labs:
            late = [name for name in step.after if name in labs and labs.index(name) >= labs.index(step.lab or "")]
            if late:
                raise ValueError(f"{step.lab!r} is after {late[0]!r}, which does not come before it in this course")
        return self


class Courses(RootModel[dict[str, Course]]):
    """What courses.yaml holds: courses by name."""


def problems(file: Path, labs: Collection[str]) -> list[str]:
    """Every mistake in a file of courses, each with file, line and column. `labs` are the ids there are."""
    try:
        source = read_source(file)
        validate(Courses, source, source.data)
    except LabFileError as error:
        return error.what.splitlines()
    courses: dict[str, Any] = source.data
    return [line for name, values in courses.items() for line in unknown_labs(source, name, values, labs)]
