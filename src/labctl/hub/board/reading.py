"""What a class is doing, worked out from what the store has: who is where, who is stuck, what most fail. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from labctl.cohorts.grades import grade
from labctl.cohorts.roster import Person
from labctl.cohorts.seat import Seat
from labctl.cohorts.spec import Cohort
from labctl.labs.lab import Lab
from labctl.outcomes import Outcome
from labctl.store.records import Attempt, Session, SessionState

STUCK_AFTER = timedelta(minutes=20)
"""So long may a session run before somebody looks who has not come further."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A criterion of the lab."""

    id: str
    text: str
    points: int
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the store has of one seat. `outcomes` are those of the latest report, by criterion; `gpus` say what it holds."""

    seat: Seat
    session: Session | None = None
    attempts: Sequence[Attempt] = ()
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    gpus: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A learner in one lab.

    `state` is the session's, in lower case, `expired`, or empty where there is none; `reason` says more. `marks` has an
    outcome for each column, None where nobody has looked. `stuck_since` is since when nothing has come further, None for
    who is not stuck. `points` are those that count.
    """

    person: Person
    lab: str
    session: str
    state: str
    reason: str
    marks: tuple[Outcome | None, ...]
    points: float
    max_points: int
    attempts: int
    passed: bool
    last_at: datetime | None
    expires_at: datetime | None
    stuck_since: datetime | None
    gpus: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """Learners × criteria of one lab. `hardest` is the criterion that most have failed last, with how many; `hurdle` the
    one at which most stand: the first that their latest report does not pass. None where nobody fails."""

    lab: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    hardest: tuple[Column, int] | None
    hurdle: tuple[Column, int] | None

    @property
    def stuck(self) -> list[Row]:
        """Who is stuck, the longest first."""
        return sorted((row for row in self.rows if row.stuck_since), key=lambda row: str(row.stuck_since))

    @property
    def running(self) -> int:
        return sum(row.state == "running" for row in self.rows)

    @property
    def passed(self) -> int:
        return sum(row.passed for row in self.rows)

    @property
    def troubled(self) -> list[Row]:
        """Whose session has failed."""
        return [row for row in self.rows if row.state == "failed"]


def columns_of(lab: Lab) -> tuple[Column, ...]:
    """The criteria of a lab, in its order."""
    return tuple(
        Column(id=each.id, text=each.text, points=each.points, source=each.source or "") for each in lab.spec.criteria
    )


def matrix(
    cohort: Cohort, lab: str, title: str, columns: Sequence[Column], seen: Sequence[Seen], now: datetime
) -> Matrix:
    """The matrix of the seats of one lab, in their order."""
    rows = tuple(row(cohort, columns, each, now) for each in seen)
    return Matrix(
        lab=lab,
        title=title,
        columns=tuple(columns),
        rows=rows,
        hardest=_hardest(columns, rows),
        hurdle=_hurdle(columns, rows),
    )


def row(cohort: Cohort, columns: Sequence[Column], seen: Seen, now: datetime) -> Row:
    """One learner's row."""
    counted = grade(cohort, seen.attempts)
    passed = any(attempt.passed for attempt in seen.attempts)
    session = seen.session
    return Row(
        person=seen.seat.person,
        lab=seen.seat.lab,
        session=seen.seat.session,
        state=_state(session, now),
        reason=session.detail if session else "",
        marks=tuple(seen.outcomes.get(column.id) for column in columns),
        points=counted.points,
        max_points=sum(column.points for column in columns),
        attempts=len(seen.attempts),
        passed=passed,
        last_at=seen.attempts[-1].at if seen.attempts else None,
        expires_at=session.expires_at if session and session.live else None,
        stuck_since=None if passed else _stuck_since(session, seen.attempts, now),
        gpus=seen.gpus,
    )


def outcomes_of(report: Mapping[str, Any]) -> dict[str, Outcome]:
    """The outcome of each criterion of a report as the store keeps it."""
    return {str(each["id"]): Outcome(each["outcome"]) for each in report["criteria"]}


def came_further(attempts: Sequence[Attempt]) -> datetime | None:
    """When the points last rose above all before; None where they never have."""
    best, at = 0.0, None
    for attempt in attempts:
        share = attempt.score / max(1, attempt.max_score)
        if share > best:
            best, at = share, attempt.at
    return at


def changed(before: Matrix | None, after: Matrix) -> list[Row]:
    """The rows that are not as they were."""
    known = {each.person.id: each for each in before.rows} if before else {}
    return [each for each in after.rows if known.get(each.person.id) != each]


def _state(session: Session | None, now: datetime) -> str:
    if session is None:
        return ""
    return "expired" if session.expired(now) else session.state.value.lower()


def _stuck_since(session: Session | None, attempts: Sequence[Attempt], now: datetime) -> datetime | None:
    """Of a session that runs, since it began or since the points last rose, when that is long ago."""
    if session is None or session.state is not SessionState.RUNNING or session.expired(now):
        return None
    since = max(filter(None, (session.created_at, came_further(attempts))))
    return since if now - since >= STUCK_AFTER else None


def _hardest(columns: Sequence[Column], rows: Sequence[Row]) -> tuple[Column, int] | None:
    return _most(columns, (number for row in rows for number, mark in enumerate(row.marks) if mark is Outcome.FAIL))


def _hurdle(columns: Sequence[Column], rows: Sequence[Row]) -> tuple[Column, int] | None:
    looked_at = (row.marks for row in rows if any(row.marks) and not row.passed)
    firsts = (
        next((number for number, mark in enumerate(marks) if mark is not Outcome.PASS), None) for marks in looked_at
    )
    return _most(columns, (number for number in firsts if number is not None))


def _most(columns: Sequence[Column], numbers: Iterable[int]) -> tuple[Column, int] | None:
    """The column whose number is there most often, the first of several, and how often."""
    counted = Counter(numbers)
    worst = max(range(len(columns)), key=lambda number: counted[number], default=0)
    return (columns[worst], counted[worst]) if counted[worst] else None
