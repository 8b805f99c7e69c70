"""The checks `promql` and `metrics` against a real Prometheus that scrapes itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from labctl.checks.match import Match
from labctl.checks.metrics import MetricsCheck
from labctl.checks.promql import PromqlCheck
from labctl.grading.attempts import observe
from labctl.outcomes import Outcome

from .sessions import LocalLab, until

PROMETHEUS = """\
prometheus:
  command:
    - prometheus
    - --config.file=prometheus.yml
    - --storage.tsdb.path=data
    - --web.listen-address=127.0.0.1:{{ port('http') }}
  ports: {http: 9090}
  healthcheck: {http: /-/ready, timeout: 60s}
"""
needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="no prometheus on PATH; sudo apt-get install prometheus"
)


@pytest.fixture
def lab(lab_of: Callable[..., LocalLab]) -> LocalLab:
    lab = lab_of(PROMETHEUS)
    service = lab.plan().service("prometheus")
    assert service is not None
    scrape = f"[{{job_name: itself, static_configs: [{{targets: ['127.0.0.1:{service.ports['http']}']}}]}}]"
    lab.script("prometheus.yml", f"global: {{scrape_interval: 200ms}}\nscrape_configs: {scrape}\n")
    lab.up()
    return lab


@needs_prometheus
def test_a_query_is_answered_and_compared(lab: LocalLab) -> None:
    target = lab.target()
    up = PromqlCheck(service="prometheus", query='up{job="itself"}', value=Match(equals=1))
    until(lambda: observe(up, target).outcome is Outcome.PASS)
    down = PromqlCheck(service="prometheus", query='up{job="itself"}', value=Match(equals=0))
    result = observe(down, target)
    assert result.outcome is Outcome.FAIL
    assert "is 1 for" in result.message
    nothing = PromqlCheck(service="prometheus", query="nothing_such", value=Match(ge=0))
    assert observe(nothing, target).message == "nothing_such has no result"
    wrong = PromqlCheck(service="prometheus", query="sum(", value=Match(ge=0))
    assert observe(wrong, target).outcome is Outcome.ERROR


@needs_prometheus
def test_its_own_endpoint_is_read(lab: LocalLab) -> None:
    target = lab.target()
    built = MetricsCheck(service="prometheus", metric="prometheus_build_info", value=Match(equals=1))
    assert observe(built, target).outcome is Outcome.PASS
    asked = MetricsCheck(
        service="prometheus",
        metric="prometheus_http_requests_total",
        labels={"handler": "/-/ready", "code": "200"},
        value=Match(ge=1),
    )
    assert observe(asked, target).outcome is Outcome.PASS
    slow = MetricsCheck(
        service="prometheus", metric="prometheus_http_request_duration_seconds", quantile=0.95, value=Match(gt=0, lt=10)
    )
    assert observe(slow, target).outcome is Outcome.PASS
