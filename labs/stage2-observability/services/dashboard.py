"""Draws the workspace's Grafana dashboards without Grafana: the same panels, the same queries, asked of the same Prometheus.

    python dashboard.py --dashboards FOLDER --prometheus URL --host HOST --port PORT

It knows time series, stats and gauges. What it does not know it says in the panel's place.
"""

from __future__ import annotations

import argparse
import html
import io
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import matplotlib as mpl
import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response

mpl.use("svg")

from matplotlib.figure import Figure

SHOWN_S = 15 * 60
POINTS = 180
COLUMNS = 24
"""Of Grafana's grid."""
ROW_PX = 36
ALONG_TIME, ONE_NUMBER = ("timeseries", "graph"), ("stat", "gauge", "bargauge")
LIVE = {"$__rate_interval": "1m", "$__interval": "15s", "$__range": "15m"}
"""What Grafana would put in place of its variables."""


@dataclass(frozen=True)
class Panel:
    """A panel as the dashboard's JSON has it. `queries` holds PromQL and legend of each."""

    title: str
    kind: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    place: dict[str, int]


def panels(folder: Path) -> list[Panel]:
    """The panels of every dashboard in `folder`, those inside of rows too; files that are no dashboards are left out."""
    found = []
    for file in sorted(folder.glob("*.json")):
        try:
            found += [_panel(entry) for entry in _flat(json.loads(file.read_text()).get("panels", []))]
        except (ValueError, AttributeError, TypeError, OSError) as error:
            found.append(Panel(f"{file.name}: {error}", "broken", "", (), {}))
    return found


def _flat(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    inner = [each for entry in entries for each in _flat(entry.get("panels") or [])]
    return [entry for entry in entries if entry.get("type") != "row"] + inner


def _panel(entry: dict[str, Any]) -> Panel:
    queries = tuple(
        (str(each.get("expr", "")), str(each.get("legendFormat") or "")) for each in entry.get("targets") or []
    )
    unit = str(entry.get("fieldConfig", {}).get("defaults", {}).get("unit") or "")
    return Panel(
        str(entry.get("title") or "untitled"), str(entry.get("type")), unit, queries, entry.get("gridPos") or {}
    )


def series(prometheus: str, query: str, now: float) -> list[tuple[dict[str, str], list[tuple[float, float]]]]:
    """Labels and points of each series in the time that is shown. Raises httpx.HTTPError and ValueError."""
    for name, value in LIVE.items():
        query = query.replace(name, value)
    span = {"start": now - SHOWN_S, "end": now, "step": SHOWN_S / POINTS}
    answer = httpx.get(f"{prometheus}/api/v1/query_range", params={"query": query, **span}, timeout=10).json()
    if answer.get("status") != "success":
        raise ValueError(answer.get("error", "no answer of a Prometheus server"))
    return [
        (each["metric"], [(float(at) - now, float(value)) for at, value in each["values"]])
        for each in answer["data"]["result"]
    ]


def drawing(panel: Panel, prometheus: str) -> bytes:
    """The panel as SVG."""
    place = panel.place
    figure = Figure(figsize=(place.get("w", 12) * 0.55, place.get("h", 8) * ROW_PX / 96), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(panel.title, loc="left", fontsize=10, fontweight="bold")
    try:
        found = [(legend, each) for query, legend in panel.queries for each in series(prometheus, query, time.time())]
        _draw(axes, panel, found)
    except (httpx.HTTPError, ValueError, KeyError) as error:
        _words(axes, str(error)[:120], "firebrick")
    out = io.BytesIO()
    figure.savefig(out, format="svg")
    return out.getvalue()


def _draw(axes: Any, panel: Panel, found: list[tuple[str, Any]]) -> None:
    if panel.kind not in (*ALONG_TIME, *ONE_NUMBER):
        return _words(axes, f"a panel of type {panel.kind!r} is drawn by Grafana only", "dimgray")
    if not found:
        return _words(axes, "no data", "dimgray")
    if panel.kind in ONE_NUMBER:
        return _words(axes, "\n".join(f"{points[-1][1]:.4g} {panel.unit}" for _, (_, points) in found[:4]), "black", 18)
    for legend, (labels, points) in found[:12]:
        axes.plot([at / 60 for at, _ in points], [value for _, value in points], label=_name(legend, labels))
    axes.set_xlim(-SHOWN_S / 60, 0)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("minutes", fontsize=8)
    axes.set_ylabel(panel.unit, fontsize=8)
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=7, loc="upper left")
    return None


def _words(axes: Any, text: str, colour: str, size: int = 10) -> None:
    axes.axis("off")
    axes.text(0.5, 0.5, text, ha="center", va="center", wrap=True, color=colour, fontsize=size)


def _name(legend: str, labels: dict[str, str]) -> str:
    for label, value in labels.items():
        legend = legend.replace("{{" + label + "}}", value).replace("{{ " + label + " }}", value)
    return legend or ", ".join(f"{name}={value}" for name, value in labels.items()) or "value"


def page(found: list[Panel]) -> str:
    """All panels where Grafana would put them; drawn anew every five seconds."""
    cells = "".join(
        f'<img alt="{html.escape(panel.title)}" src="panel/{number}.svg" style="grid-column: '
        f"{panel.place.get('x', 0) + 1} / span {panel.place.get('w', COLUMNS)}; grid-row: "
        f'{panel.place.get("y", number * 8) + 1} / span {panel.place.get("h", 8)}">'
        for number, panel in enumerate(found)
    )
    empty = "<p>No dashboard yet: <code>python dashboards.py</code> in the workspace writes grafana/dashboards/llm.json.</p>"
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Dashboard</title>
<style>body{{font-family:sans-serif;margin:1rem}}main{{display:grid;grid-template-columns:repeat({COLUMNS},1fr);
grid-auto-rows:{ROW_PX}px;gap:4px}}img{{width:100%;height:100%;object-fit:contain;border:1px solid #ddd}}</style>
<main>{cells}</main>{"" if found else empty}
<script>setInterval(() => document.querySelectorAll("img").forEach(i => {{
  i.src = i.src.split("?")[0] + "?" + Date.now() }}), 5000)</script></html>"""


def application(folder: Path, prometheus: str) -> FastAPI:
    app = FastAPI()

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/", response_class=HTMLResponse)
    def index() -> str:
        return page(panels(folder))

    @app.get("/panel/{number}.svg")
    def panel(number: int) -> Response:
        found = panels(folder)
        if not 0 <= number < len(found):
            return Response(status_code=404)
        return Response(drawing(found[number], prometheus), media_type="image/svg+xml")

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dashboards", type=Path, required=True)
    parser.add_argument("--prometheus", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=3000)
    given = parser.parse_args()
    uvicorn.run(application(given.dashboards, given.prometheus), host=given.host, port=given.port, log_level="warning")
