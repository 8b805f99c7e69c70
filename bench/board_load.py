"""A class at work on the board: 200 learners who look every five seconds, 40 of whom also have their work verified every ten.

All on this host: Hub, proxy, board, the sessions that are verified, and Locust itself. Milliseconds are as a client sees them,
through the proxy, under a token that the board asks the Hub about. `verified` is from asking until the report is there, asked
for once a second. Memory is what each program has for itself (USS), before, and the most while it goes on.
"""

from __future__ import annotations

import csv
import threading
from pathlib import Path
from typing import Any

from tests.load.hub import Hub, hub, locust

LEARNERS = 200
VERIFYING = 40
SECONDS = 90
LOOKED_AT_EVERY_S = 2.0


def board_load(
    folder: Path, learners: int = LEARNERS, verifying: int = VERIFYING, seconds: int = SECONDS
) -> dict[str, Any]:
    """Aims: no failure, 600 MiB of Hub, board and proxy together."""
    with hub(folder, learners=learners, verifying=verifying) as served:
        before = served.memory_mib()
        with_most = _Most(served)
        run = locust(served, learners=learners, seconds=seconds, out=folder / "load")
        most = with_most.end()
    figures = _figures(folder / "load_stats.csv")
    if not figures:
        raise SystemExit(f"locust ended with {run.returncode}: {run.stderr[-2000:]}")
    return {
        "learners": learners,
        "verifying": verifying,
        "seconds": seconds,
        "requests": figures,
        "failures": sum(each["failures"] for each in figures.values()),
        "failed_with": _failures(folder / "load_failures.csv"),
        "memory_before_mib": before,
        "memory_most_mib": most,
        "memory_most_together_mib": round(sum(most.values()), 1),
    }


class _Most:
    """The most memory that each program was seen to have."""

    def __init__(self, served: Hub) -> None:
        self._served, self._seen = served, served.memory_mib()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> dict[str, float]:
        self._ended.set()
        self._thread.join()
        return self._seen

    def _watch(self) -> None:
        while not self._ended.wait(LOOKED_AT_EVERY_S):
            now = self._served.memory_mib()
            self._seen = {name: max(now.get(name, 0.0), self._seen.get(name, 0.0)) for name in {*now, *self._seen}}


def _figures(path: Path) -> dict[str, dict[str, Any]]:
    """Of each kind of request: how many, how many failed, milliseconds in the middle and at the 95th percentile."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["Name"] != "Aggregated"]
    return {
        row["Name"]: {
            "count": int(row["Request Count"]),
            "failures": int(row["Failure Count"]),
            "median_ms": float(row["50%"]),
            "p95_ms": float(row["95%"]),
            "a_second": round(float(row["Requests/s"]), 2),
        }
        for row in rows
    }


def _failures(path: Path) -> dict[str, int]:
    """How often a request failed with which error."""
    with path.open(encoding="utf-8", newline="") as stream:
        return {f"{row['Name']}: {row['Error']}": int(row["Occurrences"]) for row in csv.DictReader(stream)}
