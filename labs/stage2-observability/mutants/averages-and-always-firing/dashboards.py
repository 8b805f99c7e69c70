"""The dashboard, generated with Grafana's own SDK. `python dashboards.py` writes grafana/dashboards/llm.json."""

from __future__ import annotations

from pathlib import Path

from grafana_foundation_sdk.builders import dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import TimeZoneBrowser
from grafana_foundation_sdk.models.dashboard import DataSourceRef, GridPos

OUT = Path("grafana/dashboards/llm.json")
SOURCE = DataSourceRef(type_val="prometheus", uid="prometheus")


def curve(title: str, unit: str, place: GridPos, *queries: tuple[str, str]) -> timeseries.Panel:
    """A panel of lines; each query is PromQL and a legend."""
    panel = timeseries.Panel().title(title).unit(unit).datasource(SOURCE).grid_pos(place)
    for query, legend in queries:
        panel = panel.with_target(prometheus.Dataquery().expr(query).legend_format(legend))
    return panel


def number(title: str, unit: str, place: GridPos, query: str) -> stat.Panel:
    """A panel of one number."""
    target = prometheus.Dataquery().expr(query)
    return stat.Panel().title(title).unit(unit).datasource(SOURCE).grid_pos(place).with_target(target)


def built() -> dashboard.Dashboard:
    """Latency above, load below: what users feel first, then why."""
    latency = curve(
        "Latency",
        "s",
        GridPos(h=8, w=12, x=0, y=0),
        ("rate(llm_request_seconds_sum[1m]) / rate(llm_request_seconds_count[1m])", "average"),
    )
    first = curve(
        "Time to first token",
        "s",
        GridPos(h=8, w=12, x=12, y=0),
        ("rate(llm_time_to_first_token_seconds_sum[1m]) / rate(llm_time_to_first_token_seconds_count[1m])", "gateway"),
        ("rate(vllm:time_to_first_token_seconds_sum[1m]) / rate(vllm:time_to_first_token_seconds_count[1m])", "vLLM"),
    )
    tokens = curve(
        "Tokens a second", "short", GridPos(h=8, w=12, x=0, y=8), ("sum by (type) (rate(llm_tokens_total[1m]))", "{{type}}")
    )
    queue = curve(
        "Requests in vLLM",
        "short",
        GridPos(h=8, w=12, x=12, y=8),
        ("vllm:num_requests_running", "running"),
        ("vllm:num_requests_waiting", "waiting"),
    )
    return (
        dashboard.Dashboard("LLM service")
        .uid("llm-service")
        .refresh("5s")
        .time("now-15m", "now")
        .timezone(TimeZoneBrowser)
        .with_panel(latency)
        .with_panel(first)
        .with_panel(tokens)
        .with_panel(queue)
        .with_panel(number("Errors", "percentunit", GridPos(h=6, w=12, x=0, y=16), "llm:errors:ratio1m"))
        .with_panel(number("KV cache in use", "percentunit", GridPos(h=6, w=12, x=12, y=16), "vllm:kv_cache_usage_perc"))
    )


def main() -> None:
    """Build the dashboard and write its JSON."""
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(JSONEncoder(sort_keys=True, indent=2).encode(built().build()) + "\n")


if __name__ == "__main__":
    main()
