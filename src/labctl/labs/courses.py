"""Courses: an ordered list of labs, in `courses.yaml` of a folder of labs. Light like the catalogue: YAML only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labctl.errors import LabFileError, NotFoundError
from labctl.labs.catalog import Summary, search_path
from labctl.labs.source import Source, read_source

COURSES_FILE = "courses.yaml"


def in_order(course: str, rows: Sequence[Summary], more: Sequence[Path] = ()) -> list[Summary]:
    """The labs of `course` in its order. Raises NotFoundError for an unknown course, LabFileError for an unknown lab."""
    found = _courses(more)
    if course not in found:
        known = ", ".join(sorted(found)) or "there are none yet"
        raise NotFoundError(f"no course named {course!r}", f"courses: {known}")
    source, labs = found[course]
    by_id = {row.id: row for row in rows}
    unknown = [(index, lab) for index, lab in enumerate(labs) if lab not in by_id]
    if unknown:
        index, lab = unknown[0]
        raise LabFileError(
            f"{source.at((course, 'labs', index))}: no lab named {lab!r}", "`labctl list` shows the labs there are"
        )
    return [by_id[lab] for lab in labs]


def _courses(more: Sequence[Path]) -> dict[str, tuple[Source, list[str]]]:
    found: dict[str, tuple[Source, list[str]]] = {}
    for folder in search_path(more):
        if (folder / COURSES_FILE).is_file():
            source = read_source(folder / COURSES_FILE)
            for course, values in _mapping(source).items():
                found.setdefault(course, (source, _labs(source, course, values)))
    return found


def _mapping(source: Source) -> dict[str, Any]:
    if not isinstance(source.data, dict):
        raise LabFileError(f"{source.path}:1:1: not a mapping of courses", "write `name: {title: …, labs: [lab, …]}`")
    return source.data


def _labs(source: Source, course: str, values: Any) -> list[str]:
    labs = values.get("labs") if isinstance(values, dict) else None
    if not isinstance(labs, list) or not all(isinstance(lab, str) for lab in labs):
        raise LabFileError(
            f"{source.at((course,))}: {course}: needs `labs`, a list of lab ids", "write `labs: [lab, …]`"
        )
    return labs
