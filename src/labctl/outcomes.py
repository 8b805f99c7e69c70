"""What a check, a criterion and a verification came to. Plain values; how they look is `labctl.reports`' business."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """pass, fail, error (could not look), skip (what it needs did not pass). "Could not look" is never "wrong"."""

    PASS = "pass"
    FAIL = "fail"
    ERROR = "error"
    SKIP = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One observation. `expected` and `actual` are JSON values, already cut to a size that fits a report."""

    kind: str
    outcome: Outcome
    message: str
    expected: Any = None
    actual: Any = None
    duration_s: float = 0.0
    attempts: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionResult:
    """One line of acceptance as it was found."""

    id: str
    source: str
    text: str
    points: int
    earned: int
    outcome: Outcome
    hint: str
    checks: tuple[CheckResult, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON values; `from_json` reads them back."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> CriterionResult:
        """What `to_json` gave. Raises KeyError, TypeError or ValueError for anything else."""
        checks = tuple(CheckResult(**{**check, "outcome": Outcome(check["outcome"])}) for check in values["checks"])
        return cls(**{**values, "outcome": Outcome(values["outcome"]), "checks": checks})


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The outcomes of one verification. `started_at` is ISO 8601 in UTC; `trust` is self, host or cluster."""

    lab: str
    session: str
    learner: str
    runtime: str
    profile: str
    trust: str
    started_at: str
    duration_s: float
    criteria: tuple[CriterionResult, ...]
    evidence: Mapping[str, Any] = field(default_factory=dict)
    schema: int = 1

    @property
    def outcome(self) -> Outcome:
        return combine(criterion.outcome for criterion in self.criteria)

    @property
    def score(self) -> int:
        return sum(criterion.earned for criterion in self.criteria)

    @property
    def max_score(self) -> int:
        return sum(criterion.points for criterion in self.criteria)

    def to_json(self) -> dict[str, Any]:
        """The report as `labctl verify --json` prints it and the store keeps it; `from_json` reads it back."""
        values = asdict(self)
        criteria = values.pop("criteria")
        evidence = values.pop("evidence")
        head = {"schema": values.pop("schema"), **values}
        totals = {"outcome": self.outcome, "score": self.score, "max_score": self.max_score}
        return {**head, **totals, "criteria": list(criteria), "evidence": dict(evidence)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Report:
        """The report that `to_json` wrote. Raises KeyError, TypeError or ValueError for anything else."""
        named = {field.name: values[field.name] for field in fields(cls)}
        return cls(**{**named, "criteria": tuple(map(CriterionResult.from_json, values["criteria"]))})


def combine(outcomes: Iterable[Outcome]) -> Outcome:
    """The outcome of a whole from its parts: a failure outweighs an error, an error outweighs a skip.

    >>> combine([Outcome.PASS, Outcome.ERROR, Outcome.SKIP])
    <Outcome.ERROR: 'error'>
    """
    seen = set(outcomes)
    for outcome in (Outcome.FAIL, Outcome.ERROR, Outcome.SKIP):
        if outcome in seen:
            return outcome
    return Outcome.PASS
