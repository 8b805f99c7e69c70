"""`promql`: a question to a Prometheus server."""

from __future__ import annotations

import json
import math
from typing import Any, Literal
from urllib.parse import urlencode

from labctl.checks.base import BaseCheck, NonEmpty
from labctl.checks.match import Match
from labctl.outcomes import CheckResult
from labctl.target import CannotLook, Request, Response, Target


class PromqlCheck(BaseCheck):
    """An instant query to a Prometheus server; every series of the answer must match, and there must be one."""

    kind: Literal["promql"] = "promql"
    service: NonEmpty
    """The Prometheus server."""
    port: str | None = None
    """Which of its ports; the first one when left out."""
    query: NonEmpty
    """PromQL whose result is a vector or a scalar."""
    value: Match
    """What the value of every series must be."""

    def look(self, target: Target) -> CheckResult:
        path = f"/api/v1/query?{urlencode({'query': self.query})}"
        request = Request(service=self.service, port=self.port, path=path, timeout_s=self.timeout)
        series = _series(target.request(request))
        wanted = self.value.wanted()
        if not series:
            return self.failed(f"{self.query} has no result", expected=wanted, actual=[])
        for labels, value in series:
            unmet = self.value.unmet(value)
            if unmet:
                message = f"{self.query} is {value:g} for {labels or '{}'}; wanted {' and '.join(unmet)}"
                return self.failed(message, expected=wanted, actual=_actual(series))
        return self.passed(f"{self.query} is {series[0][1]:g}", expected=wanted, actual=_actual(series))


def _actual(series: list[tuple[dict[str, str], float]]) -> list[dict[str, Any]]:
    return [{"labels": labels, "value": value} for labels, value in series[:20]]


def _series(response: Response) -> list[tuple[dict[str, str], float]]:
    """Labels and value of each series. What is no answer of Prometheus says nothing about the learner's work."""
    try:
        answer = json.loads(response.body)
        if answer["status"] != "success":
            raise CannotLook(f"Prometheus refused the query: {answer.get('error')}")
        kind, result = answer["data"]["resultType"], answer["data"]["result"]
        if kind == "scalar":
            return [({}, _number(result[1]))]
        if kind == "vector":
            return [(dict(item["metric"]), _number(item["value"][1])) for item in result]
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise CannotLook(f"no answer of a Prometheus server (status {response.status}): {error}") from error
    raise CannotLook(f"the query's result is a {kind}; ask for a vector or a scalar")


def _number(text: Any) -> float:
    return math.nan if text == "NaN" else float(text)
