"""`list --course`: a course in its order, how far the learner is in it, what is next, and what is locked by what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from labctl.cli import screen
from labctl.cli.table import Cell

if TYPE_CHECKING:
    from labctl.labs.catalog import Summary
    from labctl.labs.courses import Course, Step
    from labctl.store.records import Progress

_Cells = tuple[Cell, Cell, str, Cell, Cell]


def course_json(course: Course, rows: Sequence[dict[str, Any]], passed: set[str]) -> dict[str, Any]:
    """`rows` are the labs' own values; each gets what the course says of it."""
    steps = {step.lab: step for step in course.steps if step.lab}
    following = course.next(passed)
    labs = [
        row
        | {"next": row["id"] == following, "locked_by": course.locked_by(row["id"], passed)}
        | {"after": list(steps[row["id"]].after), "time": steps[row["id"]].time or None}
        for row in rows
    ]
    head = {"id": course.id, "title": course.title, "prerequisites": list(course.prerequisites)}
    return {"course": head, "next": following, "labs": labs, "steps": [asdict(step) for step in course.steps]}


def print_course(course: Course, rows: Sequence[Summary], progress: dict[str, Progress], needs: dict[str, str]) -> None:
    """Everything of the course but labs that are not among `rows`; `needs` says what each lab needs, in words."""
    by_id = {row.id: row for row in rows}
    passed = passed_labs(progress)
    screen.line(Cell(course.title, f"bold {screen.ACCENT}"))
    for text in course.prerequisites:
        screen.line(f"  • {text}")
    screen.line()
    cells: list[_Cells] = []
    for step in course.steps:
        cells += [(Cell(step.part, "bold cyan"), Cell(""), "", Cell(""), Cell(""))] if step.part else []
        if step.lab in by_id:
            row = by_id[step.lab]
            time = step.time or (f"{row.minutes} min" if row.minutes else "")
            title = Cell(row.problem.splitlines()[0], "red") if row.problem else Cell(row.title)
            cells.append(
                (Cell(row.id, "bold"), title, time, Cell(needs[row.id]), _you(course, row.id, progress, passed))
            )
        if step.lab is None or step.lab in by_id:
            cells += _reads(step)
    screen.table(("LAB", "TITLE", "TIME", "NEEDS", "YOU"), cells, right=("TIME",))
    _hint(course, passed)


def passed_labs(progress: dict[str, Progress]) -> set[str]:
    return {lab for lab, best in progress.items() if best.passed}


def _reads(step: Step) -> list[_Cells]:
    """To read: for a lab, or for itself, when its time is that of the step."""
    alone = step.lab is None and len(step.reads) == 1
    return [
        (Cell("  read", "dim"), Cell(each.title, "dim"), each.time or (step.time if alone else ""), Cell(""), Cell(""))
        for each in step.reads
    ]


def _you(course: Course, lab: str, progress: dict[str, Progress], passed: set[str]) -> Cell:
    if lab in passed:
        return Cell("passed", "green")
    locked_by = course.locked_by(lab, passed)
    if locked_by:
        return Cell(f"locked: first {', '.join(locked_by)}", "dim")
    score = f"{progress[lab].score}/{progress[lab].max_score}" if lab in progress else ""
    is_next = course.next(passed) == lab
    words = ", ".join(part for part in ("next" if is_next else "", score) if part)
    return Cell(words or "–", "yellow" if words else "dim")


def _hint(course: Course, passed: set[str]) -> None:
    following = course.next(passed)
    done = len([lab for lab in course.labs if lab in passed])
    if following:
        screen.hint(f"{done} of {len(course.labs)} labs passed", f"labctl up {following}    what is next")
    elif done == len(course.labs):
        screen.hint(f"all {done} labs passed")
