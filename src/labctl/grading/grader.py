"""Which criterion is looked at when, what is skipped, and what each comes to."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from graphlib import TopologicalSorter

from labctl.errors import NotFoundError
from labctl.grading.attempts import Attempts
from labctl.outcomes import CheckResult, CriterionResult, Outcome, combine
from labctl.plan import CriterionPlan
from labctl.target import Target


def grade(
    criteria: Sequence[CriterionPlan],
    target: Target,
    *,
    only: Collection[str] = (),
    on_result: Callable[[CriterionResult], None] | None = None,
    workers: int = 8,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[CriterionResult, ...]:
    """What each criterion came to, in the plan's order; with `only`, those and what they need.

    A criterion waits for those it needs, and is skipped when one of them did not pass; up to `workers` checks of all others
    run at the same time. `on_result` hears of each criterion, in this thread, as soon as it is settled. `clock` gives
    seconds. Raises NotFoundError when `only` names a criterion that does not exist.
    """
    chosen = _with_needs(criteria, only)
    run = _Run(chosen, on_result or _nobody, Attempts(target, workers=workers, clock=clock))
    results = run.to_the_end()
    return tuple(results[criterion.id] for criterion in chosen)


class _Run:
    """One grading under way."""

    def __init__(
        self,
        criteria: Sequence[CriterionPlan],
        on_result: Callable[[CriterionResult], None],
        attempts: Attempts,
    ) -> None:
        self.criteria = {criterion.id: criterion for criterion in criteria}
        self.on_result = on_result
        self.attempts = attempts
        self.order = TopologicalSorter({criterion.id: criterion.needs for criterion in criteria})
        self.results: dict[str, CriterionResult] = {}
        self.found: dict[str, dict[int, CheckResult]] = {}

    def to_the_end(self) -> Mapping[str, CriterionResult]:
        self.order.prepare()
        while self.order.is_active():
            for id in self.order.get_ready():
                self._begin(self.criteria[id])
            if self.attempts.pending():
                (id, number), result = self.attempts.next_result()
                self._take(self.criteria[id], number, result)
        return self.results

    def _begin(self, criterion: CriterionPlan) -> None:
        missing = [need for need in criterion.needs if self.results[need].outcome is not Outcome.PASS]
        if missing:
            self._settle(criterion, [_skipped(check.kind, missing) for check in criterion.checks])
            return
        self.found[criterion.id] = {}
        for number, check in enumerate(criterion.checks):
            self.attempts.add((criterion.id, number), check)

    def _take(self, criterion: CriterionPlan, number: int, result: CheckResult) -> None:
        found = self.found[criterion.id]
        found[number] = result
        if len(found) == len(criterion.checks):
            self._settle(criterion, [found[index] for index in sorted(found)])

    def _settle(self, criterion: CriterionPlan, checks: Sequence[CheckResult]) -> None:
        outcome = combine(check.outcome for check in checks)
        result = CriterionResult(
            id=criterion.id,
            source=criterion.source,
            text=criterion.text,
            points=criterion.points,
            earned=criterion.points if outcome is Outcome.PASS else 0,
            outcome=outcome,
            hint=criterion.hint,
            checks=tuple(checks),
        )
        self.results[criterion.id] = result
        self.order.done(criterion.id)
        self.on_result(result)


def _with_needs(criteria: Sequence[CriterionPlan], only: Iterable[str]) -> list[CriterionPlan]:
    known = {criterion.id: criterion for criterion in criteria}
    wanted = list(only) or list(known)
    chosen: set[str] = set()
    while wanted:
        id = wanted.pop()
        if id not in known:
            raise NotFoundError(f"no criterion {id!r}", f"there are: {', '.join(known)}")
        if id not in chosen:
            chosen.add(id)
            wanted += known[id].needs
    return [criterion for criterion in criteria if criterion.id in chosen]


def _skipped(kind: str, missing: Sequence[str]) -> CheckResult:
    names = " and ".join(missing)
    return CheckResult(kind=kind, outcome=Outcome.SKIP, message=f"not looked at: {names} must pass first", attempts=0)


def _nobody(_: CriterionResult) -> None:
    """Nobody asked to hear of results."""
