"""What of a learner's attempts counts, and the list of grades of a class. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from labctl.cohorts.roster import Person
from labctl.cohorts.seat import Seat
from labctl.cohorts.spec import Cohort
from labctl.store.records import Attempt

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """What counts of a learner's attempts at a lab. `points` are those of `attempt` less what lateness costs; without an
    attempt in time it is None and there are no points. `attempts` is how many there were, late ones too."""

    attempt: Attempt | None
    attempts: int
    points: float
    max_points: int
    days_late: int = 0

    @property
    def percent(self) -> float:
        return round(100 * self.points / self.max_points, 1) if self.max_points else 0.0


def grade(cohort: Cohort, attempts: Sequence[Attempt]) -> Grade:
    """The grade for attempts at one lab, oldest first: the best or the last of those that count, as the file says."""
    counted = [(attempt, late) for attempt in attempts if (late := _days_late(cohort, attempt)) <= cohort.late.days]
    most = attempts[-1].max_score if attempts else 0
    if not counted:
        return Grade(attempt=None, attempts=len(attempts), points=0.0, max_points=most)
    if cohort.attempts == "last":
        chosen, late = counted[-1]
    else:  # of equal ones the first: it is less late
        chosen, late = max(counted, key=lambda pair: _share(cohort, *pair))
    share = _share(cohort, chosen, late)
    return Grade(
        attempt=chosen,
        attempts=len(attempts),
        points=round(share * chosen.max_score, 2),
        max_points=chosen.max_score,
        days_late=late,
    )


def _days_late(cohort: Cohort, attempt: Attempt) -> int:
    """Days begun after the deadline; 0 in time."""
    closes = cohort.window.closes
    return max(0, math.ceil((attempt.at - closes) / _DAY)) if closes else 0


def _share(cohort: Cohort, attempt: Attempt, late: int) -> float:
    """The share of the points, from 0 to 1."""
    kept = max(0.0, 1 - late * cohort.late.penalty_percent_per_day / 100)
    return kept * attempt.score / attempt.max_score if attempt.max_score else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A learner with the grade of each lab, in the cohort's order of labs."""

    person: Person
    seats: Mapping[str, Seat]
    grades: Mapping[str, Grade]

    @property
    def mean_percent(self) -> float:
        """The mean of the labs' percents; a lab without an attempt counts as 0."""
        percents = [grade.percent for grade in self.grades.values()]
        return round(sum(percents) / len(percents), 1) if percents else 0.0


def rows(cohort: Cohort, seats: Sequence[Seat], attempts: Mapping[str, Sequence[Attempt]]) -> list[Row]:
    """A row for each learner, in the list's order."""
    of: dict[str, dict[str, Seat]] = {}
    for seat in seats:
        of.setdefault(seat.person.id, {})[seat.lab] = seat
    return [
        Row(
            person=next(iter(labs.values())).person,
            seats=labs,
            grades={lab: grade(cohort, attempts.get(seat.session, ())) for lab, seat in labs.items()},
        )
        for labs in of.values()
    ]


def unfinished(cohort: Cohort, seats: Sequence[Seat], attempts: Mapping[str, Sequence[Attempt]]) -> Iterator[Seat]:
    """The labs that each learner works on now: the first of those not passed, as many as a learner may have at once."""
    open_of: dict[str, int] = {}
    for seat in seats:
        if any(attempt.passed for attempt in attempts.get(seat.session, ())):
            continue
        open_of[seat.person.id] = open_of.get(seat.person.id, 0) + 1
        if open_of[seat.person.id] <= cohort.limits.sessions:
            yield seat
