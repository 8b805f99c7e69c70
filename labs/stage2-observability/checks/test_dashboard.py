"""Grafana as code: what is provisioned, and whether the panels ask for metrics that exist and have data."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from labctl.checks.prometheus import parse

FILE = "grafana/dashboards/llm.json"
SHOWN = {
    "the latency of requests": r"llm_request_seconds_bucket|llm:request_seconds",
    "the time to first token": r"time_to_first_token_seconds",
    "tokens": r"llm_tokens_total|llm:output_tokens|vllm:generation_tokens_total",
    "requests that wait in vLLM": r"vllm:num_requests_waiting",
    "errors": r"llm:errors|llm_requests_total",
    "the KV cache": r"vllm:kv_cache_usage_perc",
}
LIVE = {"$__rate_interval": "1m", "$__interval": "15s", "$__range": "15m"}
WORD = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
STRINGS, BY, RANGES = (
    re.compile(r'"[^"]*"'),
    re.compile(r"\b(by|without|on|ignoring)\s*\([^)]*\)"),
    re.compile(r"\[[^]]*\]"),
)
BRACES = re.compile(r"\{[^}]*\}")
FAMILIES = ("_bucket", "_sum", "_count", "_total", "")


@pytest.fixture
def dashboard(workspace: Any) -> dict[str, Any]:
    found = workspace.read_json(FILE)
    assert isinstance(found, dict), f"{FILE} is no dashboard"
    return found


@pytest.fixture
def queries(dashboard: dict[str, Any]) -> list[str]:
    found = [str(target.get("expr") or "") for panel in _panels(dashboard) for target in panel.get("targets") or []]
    assert len([query for query in found if query]) >= len(SHOWN), (
        f"{FILE} asks Prometheus {len(found)} questions; too few"
    )
    return [query for query in found if query]


AGAIN = """
import pathlib, shutil, subprocess, sys, tempfile
with tempfile.TemporaryDirectory() as folder:  # a copy: the dashboard itself is being looked at, and is the learner's
    copy = pathlib.Path(folder) / "workspace"
    shutil.copytree(".", copy, ignore=shutil.ignore_patterns(".labctl*", "__pycache__", "out"))
    (copy / "grafana/dashboards/llm.json").unlink()
    done = subprocess.run([sys.executable, "-B", "dashboards.py"], cwd=copy, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    print((copy / "grafana/dashboards/llm.json").read_text())
"""
"""Runs dashboards.py where there is no dashboard yet, and prints what it wrote."""


def test_dashboard_comes_from_its_code(workspace: Any, dashboard: dict[str, Any]) -> None:
    code = workspace.read_text("dashboards.py")
    assert "grafana_foundation_sdk" in code, "dashboards.py does not use Grafana's SDK"
    ran = workspace.run("python", "-I", "-B", "-c", AGAIN, timeout=120)
    assert ran.exit_code == 0, f"`python dashboards.py` fails: {ran.stderr.strip()[-300:]}"
    assert json.loads(ran.stdout) == dashboard, f"{FILE} is not what dashboards.py writes; it was changed by hand"


def test_panels_ask_for_metrics_that_exist(queries: list[str], workspace: Any, lab: Path) -> None:
    rules = yaml.safe_load(workspace.read_text("rules.yml")) or {}
    recorded = {rule.get("record") for group in rules.get("groups") or [] for rule in group.get("rules") or []}
    known = {"up", "ALERTS", *filter(None, recorded), *_recorded(lab)}
    for query in queries:
        unknown = [name for name in _metrics(query) if name not in known]
        assert not unknown, f"a panel asks for {unknown[0]}, which neither vLLM, nor the gateway, nor a rule has"


def test_panels_have_data(queries: list[str], query: Callable[..., list[tuple[Mapping[str, str], float]]]) -> None:
    for asked in queries:
        for name, value in LIVE.items():
            asked = asked.replace(name, value)
        metric = "|".join(_metrics(asked)[:1])
        assert query(f"max_over_time(({asked})[6h:5s])"), f"no data for the panel of {metric}"


@pytest.mark.parametrize("what", SHOWN)
def test_panels_show_what_matters(queries: list[str], what: str) -> None:
    assert any(re.search(SHOWN[what], query) for query in queries), f"no panel shows {what}"


def test_latency_is_shown_as_a_percentile(queries: list[str]) -> None:
    percentiles = [each for each in queries if "histogram_quantile" in each or re.search(r"llm:\w+:p95", each)]
    assert percentiles, "no panel shows a percentile; an average hides the slow answers"


def test_provisioning_is_complete(workspace: Any, dashboard: dict[str, Any]) -> None:
    sources = list(_provisioned(workspace, "datasources", "datasources"))
    found = [source for source in sources if source.get("type") == "prometheus"]
    assert found, "grafana/provisioning/datasources/ provisions no data source of type prometheus"
    assert "PROMETHEUS_URL" in str(found[0].get("url")), "the data source's url is not taken from $PROMETHEUS_URL"
    assert found[0].get("uid"), "the data source has no uid: a dashboard could not name it on another server"
    providers = list(_provisioned(workspace, "dashboards", "providers"))
    paths = [(provider.get("options") or {}).get("path") for provider in providers if provider.get("type") == "file"]
    assert "/etc/grafana/dashboards" in paths, "grafana/provisioning/dashboards/ does not load /etc/grafana/dashboards"
    used = {(panel.get("datasource") or {}).get("uid") for panel in _panels(dashboard) if panel.get("targets")}
    assert used == {found[0]["uid"]}, (
        f"the panels' data sources are {sorted(map(str, used))}, provisioned is {found[0]['uid']}"
    )


def _provisioned(workspace: Any, folder: str, key: str) -> Iterator[dict[str, Any]]:
    files = [file for end in ("yaml", "yml") for file in workspace.find(f"grafana/provisioning/{folder}/*.{end}")]
    assert files, f"grafana/provisioning/{folder}/ holds no file"
    for file in files:
        data = yaml.safe_load(workspace.read_text(file.path))
        assert isinstance(data, dict), f"{file.path} holds no mapping"
        assert data.get("apiVersion") == 1, f"{file.path} does not say apiVersion: 1"
        yield from (each for each in data.get(key) or [] if isinstance(each, dict))


def _panels(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in dashboard.get("panels") or []:
        yield panel
        yield from panel.get("panels") or []


def _recorded(lab: Path) -> set[str]:
    """The metrics of /metrics as they were recorded: of vLLM, and of a finished gateway."""
    texts = [file.read_text() for file in (lab / "checks" / "recorded").glob("*.prom")]
    return {name for text in texts for name, _, _ in parse(text)}


def _metrics(query: str) -> list[str]:
    """The metrics that a query names: its words but for functions, label names and modifiers."""
    bare = query
    for pattern, put in ((STRINGS, '""'), (BRACES, ""), (BY, " "), (RANGES, "")):
        bare = pattern.sub(put, bare)
    words = [(match.group(), bare[match.end() :].lstrip()[:1]) for match in WORD.finditer(bare)]
    operators = {"and", "or", "unless", "offset", "bool", "group_left", "group_right", "inf", "nan", "m", "s", "h", "d"}
    return [word for word, after in words if after != "(" and word.lower() not in operators]
