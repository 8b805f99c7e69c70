"""`promql`: a question to a Prometheus server."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import urlencode

from pydantic import Field, model_validator

from labctl.checks.base import BaseCheck, Duration, NonEmpty
from labctl.checks.match import Match
from labctl.checks.series import Moment, Series, instant, moments, spans
from labctl.outcomes import CheckResult
from labctl.target import Request, Response, Target

MAX_STEPS = 11_000
"""Prometheus' own limit of points in a series."""
MAX_SPANS = 3
MAX_BYTES = 16 * 1024 * 1024


class PromqlCheck(BaseCheck):
    """A query to a Prometheus server; every series of the answer must match, and there must be one: now, or over a time."""

    kind: Literal["promql"] = "promql"
    service: NonEmpty
    """The Prometheus server."""
    port: str | None = None
    """Which of its ports; the first one when left out."""
    query: NonEmpty
    """PromQL whose result is a vector or a scalar."""
    value: Match
    """What the value of every series must be."""
    over: Duration | None = None
    """How far back to look, from now; only this moment when left out."""
    step: Duration = Field(default=5.0, gt=0)
    """With `over`: the time between two looks, a scrape interval or more."""
    holds: Literal["ever", "always", "last"] = "ever"
    """With `over`, when it must be so: at one step or more (`ever`); at every step from the first that has a result on
    (`always`); at the newest step that has a result (`last`)."""

    @model_validator(mode="after")
    def _range_is_whole(self) -> PromqlCheck:
        given = sorted(self.model_fields_set & {"step", "holds"})
        if self.over is None and given:
            raise ValueError(f"{' and '.join(given)} mean something with over only")
        if self.over is not None and not self.step <= self.over <= MAX_STEPS * self.step:
            raise ValueError(f"over must be 1 to {MAX_STEPS} steps; it is {self.over / self.step:g}")
        return self

    def look(self, target: Target) -> CheckResult:
        return self._now(target) if self.over is None else self._over(target, self.over)

    def _now(self, target: Target) -> CheckResult:
        series = instant(self._ask(target, "query", {}))
        wanted = self.value.wanted()
        if not series:
            return self.failed(f"{self.query} has no result", expected=wanted, actual=[])
        missed = self._missed(series)
        if missed:
            return self.failed(f"{self.query} is {missed}", expected=wanted, actual=_actual(series))
        return self.passed(f"{self.query} is {series[0][1]:g}", expected=wanted, actual=_actual(series))

    def _over(self, target: Target, over_s: float) -> CheckResult:
        end = round(time.time(), 3)
        start = round(end - over_s, 3)
        times = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{self.step:g}"}
        found = moments(self._ask(target, "query_range", times), start, end, self.step)
        wanted = {"holds": self.holds, **self.value.wanted()}
        span = f"in the last {over_s:g}s"
        first = next((index for index, moment in enumerate(found) if moment.series), None)
        if first is None:
            return self.failed(f"{self.query} had no result {span}", expected=wanted, actual=[])
        held = [moment for moment in found if moment.series and not self._missed(moment.series)]
        seen = {"steps": len(found) - first, "held": len(held), "times": spans(held, self.step)[:10]}
        text = f"{self.query} {self._when(held, span)}"
        wrong = self._wrong(found[first:])
        if wrong is None:
            return self.passed(text, expected=wanted, actual=seen)
        why = f"at {wrong} it was {self._missed(wrong.series)}" if wrong.series else f"at {wrong} it had no result"
        return self.failed(f"{text}; wanted {self.holds}: {why}", expected=wanted, actual=seen)

    def _wrong(self, steps: Sequence[Moment]) -> Moment | None:
        """The step because of which it does not hold as wanted; None when it does."""
        missed = [step for step in steps if not step.series or self._missed(step.series)]
        if self.holds == "always":
            return missed[0] if missed else None
        newest = [step for step in steps if step.series][-1]
        if self.holds == "ever":
            return newest if len(missed) == len(steps) else None
        return newest if self._missed(newest.series) else None

    def _when(self, held: Sequence[Moment], span: str) -> str:
        times = spans(held, self.step)
        more = f" and {len(times) - MAX_SPANS} times more" if len(times) > MAX_SPANS else ""
        return f"was as wanted {', '.join(times[:MAX_SPANS])}{more} (UTC)" if times else f"was never as wanted {span}"

    def _missed(self, series: Series) -> str:
        """The first series that does not match and what is wanted; "" when all do."""
        for labels, value in series:
            unmet = self.value.unmet(value)
            if unmet:
                return f"{value:g} for {labels or '{}'}; wanted {' and '.join(unmet)}"
        return ""

    def _ask(self, target: Target, what: str, parameters: Mapping[str, str]) -> Response:
        path = f"/api/v1/{what}?{urlencode({'query': self.query, **parameters})}"
        return target.request(
            Request(service=self.service, port=self.port, path=path, timeout_s=self.timeout, max_bytes=MAX_BYTES)
        )


def _actual(series: Series) -> list[dict[str, Any]]:
    return [{"labels": labels, "value": value} for labels, value in series[:20]]
