"""Run the benchmarks: `python -m bench.run [NAME]…`. Writes bench/results/<date>.json and prints what it wrote."""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import allocator, board, board_load, cases, classroom, cohort, docker, hosts, inventory, kubernetes
from labctl import __version__

RESULTS = Path(__file__).parent / "results"
CASES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "startup": cases.startup,
    "up_again": cases.up_again,
    "status": cases.status,
    "grading": cases.grading,
    "planning": cases.planning,
    "memory": cases.memory,
    "demo": cases.demo,
    "docker_sessions": docker.sessions,
    "docker_services": docker.services,
    "docker_down": docker.down,
    "docker_up_again": docker.up_again,
    "allocator": allocator.allocator,
    "classroom": classroom.classroom,
    "inventory": inventory.inventory,
    "cohort": cohort.cohort,
    "cohort_claim": cohort.claim,
    "kubernetes": kubernetes.kubernetes,
    "hosts": hosts.hosts,
    "kubernetes_1000": kubernetes.thousand,
    "board": board.board,
    "board_load": board_load.board_load,
}


def main() -> None:
    names = sys.argv[1:] or list(CASES)
    path = RESULTS / f"{datetime.now(UTC):%Y-%m-%d}.json"
    results = json.loads(path.read_text()) if path.is_file() else {}
    results["machine"] = {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "labctl": __version__,
        "docker": docker.engine(),
    }
    for name in names:
        with tempfile.TemporaryDirectory(prefix=f"labctl-bench-{name}-") as folder:
            results[name] = CASES[name](Path(folder))
        print(name, json.dumps(results[name], indent=2), flush=True)
        path.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
