"""A learner's latest report beside the criteria of the lab: what passed, why not, what to look at. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labctl.labs.lab import Lab
from labctl.labs.spec import Criterion
from labctl.outcomes import CheckResult, CriterionResult, Outcome, Report
from labctl.reports.wording import SYMBOLS, WORDS, unmet


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A criterion as its learner sees it. `outcome` is empty before anybody has looked; `why` are the checks that keep
    it from passing."""

    id: str
    text: str
    points: int
    earned: int = 0
    outcome: str = ""
    symbol: str = "·"
    word: str = "not looked at yet"
    why: tuple[CheckResult, ...] = ()
    hint: str = ""


def results(lab: Lab, report: Mapping[str, Any] | None) -> list[Result]:
    """Every criterion that the lab has now, with what the report says of it."""
    found = {each.id: each for each in Report.from_json(report).criteria} if report else {}
    return [_result(each, found.get(each.id)) for each in lab.spec.criteria]


def following(results: Sequence[Result]) -> Result | None:
    """What to do next: the first criterion that has not passed."""
    return next((each for each in results if each.outcome != Outcome.PASS), None)


def _result(criterion: Criterion, found: CriterionResult | None) -> Result:
    if found is None:
        return Result(id=criterion.id, text=criterion.text, points=criterion.points)
    failed = found.outcome in (Outcome.FAIL, Outcome.ERROR)
    return Result(
        id=criterion.id,
        text=criterion.text,
        points=found.points,
        earned=found.earned,
        outcome=found.outcome.value,
        symbol=SYMBOLS[found.outcome],
        word=WORDS[found.outcome],
        why=tuple(unmet(found)) if failed else (),
        hint=found.hint if failed else "",
    )
