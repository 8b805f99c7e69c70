"""Load the service until LLMQueueGrows fires. On a busy machine one load may not do: the queue is short, or a look is missed."""

from __future__ import annotations

import os
import subprocess
import sys

import httpx

PROMETHEUS = os.environ["LABCTL_URL_PROMETHEUS"]
FIRING = 'ALERTS{alertname="LLMQueueGrows",alertstate="firing"}'
TIMES = 8
LOAD = [sys.executable, "load.py", "--clients", "24", "--seconds", "18", "--max-tokens", "80"]
"""Long enough for the ten seconds of the alert, and for the looks that lead to it; with clients to spare for a gateway that lags."""
SEEN = {
    "looks that failed": 'count_over_time((up{job="vllm"} == 0)[5m:2s])',
    "requests that waited, at most": "max_over_time(vllm:num_requests_waiting[5m])",
    "looks that saw more than 6 wait": "count_over_time((vllm:num_requests_waiting > 6)[5m:2s])",
    "looks at which the alert was pending": 'count_over_time(ALERTS{alertname="LLMQueueGrows"}[5m])',
}


def ask(query: str) -> list[str]:
    answer = httpx.get(f"{PROMETHEUS}/api/v1/query", params={"query": query}, timeout=60)
    return [row["value"][1] for row in answer.raise_for_status().json()["data"]["result"]]


def has_fired() -> bool:
    """Whether the alert fired in the last five minutes."""
    return bool(ask(f"last_over_time({FIRING}[5m])"))


for _ in range(TIMES):
    subprocess.run(LOAD, check=True)
    if has_fired():
        break
else:
    sys.exit(f"LLMQueueGrows did not fire in {TIMES} loads; {({name: ask(query) for name, query in SEEN.items()})}")
