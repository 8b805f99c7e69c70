"""Load the service until LLMQueueGrows fires. On a busy machine Prometheus may miss a look, and the alert begins anew."""

from __future__ import annotations

import os
import subprocess
import sys

import httpx

PROMETHEUS = os.environ["LABCTL_URL_PROMETHEUS"]
FIRING = 'ALERTS{alertname="LLMQueueGrows",alertstate="firing"}'
TIMES = 8
LOAD = [sys.executable, "load.py", "--seconds", "18", "--max-tokens", "80"]
"""Long enough for the ten seconds of the alert, and for the looks that lead to it."""


def has_fired() -> bool:
    """Whether the alert fired in the last five minutes."""
    answer = httpx.get(f"{PROMETHEUS}/api/v1/query", params={"query": f"last_over_time({FIRING}[5m])"}, timeout=60)
    return bool(answer.raise_for_status().json()["data"]["result"])


for _ in range(TIMES):
    subprocess.run(LOAD, check=True)
    if has_fired():
        break
else:
    sys.exit(f"LLMQueueGrows did not fire in {TIMES} loads")
