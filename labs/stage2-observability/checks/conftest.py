"""What several check scripts of this lab need: the gateway's and vLLM's metrics, and questions to Prometheus."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from labctl.checks.prometheus import named, parse

PATIENCE_S = 15.0
"""vLLM counts a request a moment after it has answered it."""


class Metrics:
    """The samples of one scrape."""

    def __init__(self, text: str) -> None:
        self.samples = parse(text)

    def sum(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that bear `labels`; 0.0 when there is none."""
        return sum(value for _, _, value in named(self.samples, name, labels))

    def has(self, name: str) -> bool:
        return bool(named(self.samples, name, {}))


@pytest.fixture
def scrape(service: Callable[..., Any]) -> Callable[[str], Metrics]:
    """A function from a service's name to what its /metrics says now."""

    def now(name: str) -> Metrics:
        answer = service(name).get("/metrics")
        assert answer.status_code == 200, f"GET /metrics of {name} answers {answer.status_code}"
        return Metrics(answer.text)

    return now


@pytest.fixture
def until() -> Callable[..., Any]:
    """A function that looks again until `good` holds of what `look` gives, and gives what it saw last."""

    def wait(look: Callable[[], Any], good: Callable[[Any], bool], patience_s: float = PATIENCE_S) -> Any:
        deadline = time.monotonic() + patience_s
        seen = look()
        while not good(seen) and time.monotonic() < deadline:
            time.sleep(0.5)
            seen = look()
        return seen

    return wait


@pytest.fixture
def query(service: Callable[..., Any]) -> Callable[..., list[tuple[Mapping[str, str], float]]]:
    """A function that asks Prometheus: query(promql, at=unix seconds) → labels and value of each series, NaN left out."""

    def ask(promql: str, at: float | None = None) -> list[tuple[Mapping[str, str], float]]:
        asked = {"query": promql} if at is None else {"query": promql, "time": str(at)}
        answer = service("prometheus").get("/api/v1/query", params=asked).json()
        assert answer["status"] == "success", f"Prometheus refuses {promql}: {answer.get('error')}"
        found = [(each["metric"], float(each["value"][1])) for each in answer["data"]["result"]]
        return [(labels, value) for labels, value in found if not math.isnan(value)]

    return ask
