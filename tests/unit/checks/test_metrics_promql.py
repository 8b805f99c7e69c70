"""The checks `metrics` and `promql`, and Prometheus' arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from labctl.checks.base import BaseCheck
from labctl.checks.prometheus import quantile
from labctl.outcomes import Outcome
from labctl.target import CannotLook, Request, Response
from labctl.testing.target import FakeTarget, answer

CheckOf = Callable[..., BaseCheck]

EXPOSITION = """\
# HELP vllm:generation_tokens_total Tokens.
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{engine="0",model_name="tiny"} 40.0
vllm:generation_tokens_total{engine="0",model_name="capitals"} 2.0
# TYPE requests counter
requests_total 7
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0"} NaN
# TYPE ttft_seconds histogram
ttft_seconds_bucket{le="0.1",m="a"} 50
ttft_seconds_bucket{le="0.5",m="a"} 90
ttft_seconds_bucket{le="+Inf",m="a"} 100
ttft_seconds_count{m="a"} 100
ttft_seconds_sum{m="a"} 20
# TYPE idle_seconds histogram
idle_seconds_bucket{le="1"} 0
idle_seconds_bucket{le="+Inf"} 0
"""


def scraped(tmp_path: Path, text: str = EXPOSITION) -> FakeTarget:
    return FakeTarget(folder=tmp_path, answers={("vllm", "GET", "/metrics"): answer(text=text)})


@pytest.mark.parametrize(
    ("settings", "value"),
    [
        ({"metric": "vllm:generation_tokens_total"}, 42.0),
        ({"metric": "vllm:generation_tokens"}, 42.0),
        ({"metric": "requests"}, 7.0),
        ({"metric": "requests_total"}, 7.0),
        ({"metric": "vllm:generation_tokens_total", "labels": {"model_name": "capitals"}}, 2.0),
        ({"metric": "vllm:generation_tokens_total", "aggregate": "max"}, 40.0),
        ({"metric": "vllm:generation_tokens_total", "aggregate": "min"}, 2.0),
        ({"metric": "vllm:generation_tokens_total", "aggregate": "count"}, 2.0),
        ({"metric": "ttft_seconds", "quantile": 0.7}, 0.3),
        ({"metric": "ttft_seconds_bucket", "quantile": 0.99, "labels": {"m": "a"}}, 0.5),
    ],
)
def test_a_figure_is_read(tmp_path: Path, check_of: CheckOf, settings: dict[str, Any], value: float) -> None:
    result = check_of("metrics", service="vllm", value={"approx": value, "tolerance": 1e-9}, **settings).run(
        scraped(tmp_path)
    )
    assert result.outcome is Outcome.PASS, result.message


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"metric": "vllm:num_requests_running"}, "is NaN"),
        ({"metric": "idle_seconds", "quantile": 0.5}, "is NaN"),
        ({"metric": "vllm:gpu_cache_usage_perc"}, "shows no metric"),
        ({"metric": "requests", "labels": {"a": "b"}}, "shows no metric requests{a='b'}"),
        ({"metric": "requests", "quantile": 0.5}, "shows no metric requests_bucket"),
    ],
)
def test_nan_and_absence_match_nothing(tmp_path: Path, check_of: CheckOf, settings: dict[str, Any], why: str) -> None:
    result = check_of("metrics", service="vllm", value={"ge": 0}, **settings).run(scraped(tmp_path))
    assert (result.outcome, why in result.message) == (Outcome.FAIL, True), result.message


@pytest.mark.parametrize(
    "text",
    ["<html>not found</html>", 'a{le="0.1} 1', "a b c d", 'requests_bucket{le="x"} 1\n', '# TYPE a counter\na{"'],
)
def test_what_is_no_exposition_fails(tmp_path: Path, check_of: CheckOf, text: str) -> None:
    check = check_of("metrics", service="vllm", metric="requests", quantile=0.5, value={"ge": 0})
    assert check.run(scraped(tmp_path, text)).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("q", "buckets", "value"),
    [
        (0.0, [(1, 10), (math.inf, 10)], 0.0),
        (1.0, [(1, 10), (math.inf, 10)], 1.0),
        (0.5, [(-1, 10), (math.inf, 10)], -1),
        (0.9, [(1, 5), (math.inf, 10)], 1),
        (0.5, [(math.inf, 10)], math.nan),
        (0.5, [(1, 5), (2, 10)], math.nan),
        (0.5, [(1, 4), (2, 3), (math.inf, 8)], 1),
        (0.5, [], math.nan),
        (0.0, [(1, 1), (math.inf, math.inf)], math.nan),
    ],
)
def test_quantiles_are_those_of_histogram_quantile(q: float, buckets: list[tuple[float, float]], value: float) -> None:
    assert quantile(q, buckets) == pytest.approx(value, nan_ok=True)


def prometheus(tmp_path: Path, data: object, status: int = 200) -> FakeTarget:
    return FakeTarget(folder=tmp_path, answers={("prom", "GET", "/api/v1/query"): answer(data, status=status)})


def vector(*values: str) -> dict[str, Any]:
    result = [{"metric": {"job": f"j{number}"}, "value": [1.5, value]} for number, value in enumerate(values)]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


def test_every_series_must_match_and_the_query_is_sent_as_written(tmp_path: Path, check_of: CheckOf) -> None:
    asked: list[str] = []

    def query(request: Request) -> Response:
        asked.extend(parse_qs(urlsplit(request.path).query)["query"])
        return answer(vector("1", "1"))

    target = FakeTarget(folder=tmp_path, answers={("prom", "GET", "/api/v1/query"): query})
    check = check_of("promql", service="prom", query='up{job=~"a|b"} + 1', value={"equals": 1})
    assert check.run(target).outcome is Outcome.PASS
    assert asked == ['up{job=~"a|b"} + 1']
    result = check.run(prometheus(tmp_path, vector("1", "0")))
    assert (result.outcome, "{'job': 'j1'}" in result.message) == (Outcome.FAIL, True)


@pytest.mark.parametrize("data", [vector(), vector("NaN"), vector("+Inf")])
def test_no_result_and_nan_fail(tmp_path: Path, check_of: CheckOf, data: object) -> None:
    check = check_of("promql", service="prom", query="up", value={"ge": 0})
    assert check.run(prometheus(tmp_path, data)).outcome is Outcome.FAIL


def test_a_scalar_is_a_result_too(tmp_path: Path, check_of: CheckOf) -> None:
    data = {"status": "success", "data": {"resultType": "scalar", "result": [1.5, "3"]}}
    assert (
        check_of("promql", service="prom", query="1+2", value={"equals": 3}).run(prometheus(tmp_path, data)).outcome
        is Outcome.PASS
    )


@pytest.mark.parametrize(
    "data",
    [
        {"status": "error", "error": "parse error"},
        {"status": "success", "data": {"resultType": "matrix", "result": []}},
        {"status": "success", "data": {"resultType": "vector", "result": [{}]}},
        {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, "x"]}]}},
        [],
        "busy",
    ],
)
def test_a_refused_query_says_nothing_about_the_learner(tmp_path: Path, check_of: CheckOf, data: object) -> None:
    with pytest.raises(CannotLook):
        check_of("promql", service="prom", query="up", value={"ge": 0}).run(prometheus(tmp_path, data, status=400))


@pytest.mark.parametrize(
    "text", [f"a 1 {'9' * 400}", f"a 1 {'9' * 5000}", "a{ 1", 'a{b="} 1', "# TYPE a x\na 1 2 3 4", "\0"]
)
def test_a_page_that_breaks_the_parser_fails(tmp_path: Path, check_of: CheckOf, text: str) -> None:
    result = check_of("metrics", service="vllm", metric="b", value={"ge": 0}).run(scraped(tmp_path, text))
    assert result.outcome is Outcome.FAIL
