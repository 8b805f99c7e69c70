"""Whether Prometheus really saw a load, and what its 95th percentile was."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import yaml

Query = Callable[..., list[tuple[Mapping[str, str], float]]]
P95 = "histogram_quantile(0.95, sum by (le) (rate(llm_request_seconds_bucket[1m])))"
ENOUGH = 50
WITHIN = 0.2
"""How far a number read off a curve may be from it, as a share."""


@pytest.fixture
def given(workspace: Any) -> dict[str, Any]:
    answers = yaml.safe_load(workspace.read_text("answers.yaml"))
    assert isinstance(answers, dict), "answers.yaml has lost its form"
    assert isinstance(answers.get("p95"), dict), "answers.yaml has lost its form"
    numbers = {name: answers["p95"].get(name) for name in ("seconds", "bucket_above")}
    open_ = [name for name, value in numbers.items() if isinstance(value, bool) or not isinstance(value, int | float)]
    assert not open_, f"p95.{open_[0]} in answers.yaml is no number yet"
    return numbers


def test_alert_fired_because_requests_waited(query: Query) -> None:
    fired = query('max_over_time(ALERTS{alertname="LLMQueueGrows",alertstate="firing"}[6h])')
    assert fired, "LLMQueueGrows has not fired in Prometheus; is the rule loaded, and was the load long enough?"
    waited = query("max_over_time(vllm:num_requests_waiting[6h])")
    assert max((value for _, value in waited), default=0) > 6, "Prometheus never saw more than 6 requests wait in vLLM"
    quiet = query("count_over_time((max(vllm:num_requests_waiting) == 0)[6h:2s])")
    assert quiet, "Prometheus never saw a moment without a queue: the alert has nothing to be told from"
    firing = query('avg_over_time((count(ALERTS{alertname="LLMQueueGrows",alertstate="firing"}) or vector(0))[30m:2s])')
    assert max((share for _, share in firing), default=1) < 1, "LLMQueueGrows fires all the time"


def test_p95_is_the_one_of_the_load(query: Query, given: dict[str, Any], workspace: Any) -> None:
    load = workspace.read_json("out/load.json")
    at = float(load["ended"]) if isinstance(load, dict) and isinstance(load.get("ended"), int | float) else math.nan
    assert not math.isnan(at), "out/load.json does not say when the load ended"
    counted = query("sum(increase(llm_request_seconds_count[5m]))", at)
    seen = sum(value for _, value in counted)
    assert seen >= 0.8 * ENOUGH, (
        f"Prometheus saw {seen:.0f} requests in the five minutes before the end of the load, not {ENOUGH}"
    )
    moments = [query(P95, at + shift) for shift in range(-20, 12, 2)]
    curve = [found[0][1] for found in moments if found]
    assert curve, "Prometheus has no llm_request_seconds for the time of the load"
    low, high = min(curve) * (1 - WITHIN), max(curve) * (1 + WITHIN)
    assert low <= given["seconds"] <= high, (
        f"p95.seconds is {given['seconds']:g}; while the load ran the curve said otherwise"
    )


def test_bucket_is_the_one_that_p95_lies_in(query: Query, given: dict[str, Any]) -> None:
    bounds = sorted(float(labels["le"]) for labels, _ in query("sum by (le) (llm_request_seconds_bucket)"))
    assert bounds, "Prometheus has no buckets of llm_request_seconds"
    right = min(bound for bound in bounds if bound >= given["seconds"])
    assert given["bucket_above"] == right, (
        f"p95.bucket_above is {given['bucket_above']:g}: that is not the bucket of p95.seconds"
    )
