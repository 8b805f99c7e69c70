"""`metrics`: one figure of a service's own Prometheus endpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from pydantic import Field

from labctl.checks.base import BaseCheck, NonEmpty, Unmet, shown
from labctl.checks.match import Match
from labctl.checks.prometheus import Sample, named, parse, quantile
from labctl.checks.request import require_status
from labctl.outcomes import CheckResult
from labctl.target import Request, Target

MAX_BYTES = 16 * 1024 * 1024
_AGGREGATES: Mapping[str, Callable[[Sequence[float]], float]] = {"sum": sum, "max": max, "min": min, "count": len}


class MetricsCheck(BaseCheck):
    """A metric read from a service's own Prometheus endpoint, as it stands at this moment."""

    kind: Literal["metrics"] = "metrics"
    service: NonEmpty
    """The service that is scraped."""
    port: str | None = None
    """Which of its ports; the first one when left out."""
    path: str = Field(default="/metrics", pattern=r"^/")
    """Where the metrics are."""
    metric: NonEmpty
    """The sample's name; a counter is found with and without its `_total`."""
    labels: dict[str, str] = {}
    """Labels the samples must have; others are ignored."""
    aggregate: Literal["sum", "max", "min", "count"] = "sum"
    """What several samples come to."""
    quantile: float | None = Field(default=None, ge=0, le=1)
    """Of a histogram: the quantile, estimated from its buckets as Prometheus' histogram_quantile does."""
    value: Match
    """What the figure must be."""

    def look(self, target: Target) -> CheckResult:
        request = Request(
            service=self.service, port=self.port, path=self.path, timeout_s=self.timeout, max_bytes=MAX_BYTES
        )
        response = target.request(request)
        require_status(response, 200, f"GET {self.path}")
        samples = parse(response.text)
        value = self._aggregate(samples) if self.quantile is None else self._quantile(samples, self.quantile)
        name = self._name()
        unmet = self.value.unmet(value)
        if unmet:
            message = f"{name} is {shown(value)}; wanted {' and '.join(unmet)}"
            return self.failed(message, expected=self.value.wanted(), actual=value)
        return self.passed(f"{name} is {shown(value)}", expected=self.value.wanted(), actual=value)

    def _aggregate(self, samples: list[Sample]) -> float:
        return float(_AGGREGATES[self.aggregate]([value for _, _, value in self._named(samples, self.metric)]))

    def _quantile(self, samples: list[Sample], q: float) -> float:
        found = self._named(samples, f"{self.metric.removesuffix('_bucket')}_bucket")
        return quantile(q, [(_bound(labels), count) for _, labels, count in found])

    def _named(self, samples: list[Sample], metric: str) -> list[Sample]:
        found = named(samples, metric, self.labels)
        if not found:
            raise Unmet(f"{self.service} shows no metric {metric}{self._selector()} at {self.path}")
        return found

    def _name(self) -> str:
        name = f"{self.metric}{self._selector()}"
        return name if self.quantile is None else f"the {self.quantile:g}-quantile of {name}"

    def _selector(self) -> str:
        return f"{{{', '.join(f'{name}={value!r}' for name, value in self.labels.items())}}}" if self.labels else ""


def _bound(labels: Mapping[str, str]) -> float:
    try:
        return float(labels["le"])
    except (KeyError, ValueError):
        raise Unmet(f"a histogram's bucket has the upper bound le={labels.get('le')!r}, which is no number") from None
