"""Which attempt counts, what lateness costs, and that no cell of the list of grades is a formula."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from labctl.cohorts import grades
from labctl.cohorts.roster import Person
from labctl.cohorts.seat import Seat, seats
from labctl.cohorts.spec import Cohort
from labctl.store.records import Attempt

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)


def cohort(**more: Any) -> Cohort:
    return Cohort.model_validate({"name": "autumn", "labs": ["one", "two"], "roster": "roster.csv", **more})


def attempt(score: int, *, hours: float = -1, most: int = 100) -> Attempt:
    """An attempt so many hours after the deadline at noon."""
    outcome = "pass" if score == most else "fail"
    return Attempt(id=1, score=score, max_score=most, outcome=outcome, at=NOON + timedelta(hours=hours))


LATE = {"days": 2, "penalty_percent_per_day": 10}


@pytest.mark.parametrize(
    ("more", "attempts", "points", "late"),
    [
        ({}, [attempt(40), attempt(90), attempt(70)], 90, 0),
        ({"attempts": "last"}, [attempt(40), attempt(90), attempt(70)], 70, 0),
        ({}, [], 0, 0),
        ({}, [attempt(80), attempt(100, hours=0.1)], 80, 0),  # nothing late counts
        ({"late": LATE}, [attempt(80), attempt(100, hours=0.1)], 90, 1),
        ({"late": LATE}, [attempt(80), attempt(100, hours=25)], 80, 0),  # two days cost as much as is gained
        ({"late": LATE}, [attempt(10), attempt(100, hours=48.1)], 10, 0),
        ({"late": LATE, "attempts": "last"}, [attempt(100), attempt(100, hours=1)], 90, 1),
        ({}, [attempt(5, most=10), attempt(60, most=100)], 60, 0),  # points of a lab that changed: the share counts
    ],
)
def test_the_attempt_that_counts(more: dict[str, Any], attempts: list[Attempt], points: float, late: int) -> None:
    got = grades.grade(cohort(window={"closes": "2026-09-01T12:00Z"}, **more), attempts)
    assert (got.points, got.days_late, got.attempts) == (points, late, len(attempts))


def people(*names: str) -> list[Person]:
    return [Person(id=name.lower().strip("="), name=name) for name in names]


def test_each_learner_works_on_the_first_labs_not_passed() -> None:
    def sessions(chosen: Cohort) -> list[str]:
        found: list[Seat] = seats(chosen, people("Ada", "Bob"))
        return [seat.session for seat in grades.unfinished(chosen, found, {"one--autumn--ada": [attempt(100)]})]

    assert sessions(cohort()) == ["one--autumn--bob", "two--autumn--ada"]
    assert len(sessions(cohort(limits={"sessions": 2}))) == 3
