"""Has Prometheus read its configuration again, and waits until it scrapes both services."""

from __future__ import annotations

import os
import time

import httpx

URL = os.environ["LABCTL_URL_PROMETHEUS"]


def main(patience_s: float = 60) -> None:
    httpx.post(f"{URL}/-/reload", timeout=30).raise_for_status()
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        answer = httpx.get(f"{URL}/api/v1/query", params={"query": "up == 1"}, timeout=30).json()
        if {each["metric"]["job"] for each in answer["data"]["result"]} >= {"vllm", "gateway"}:
            return
        time.sleep(1)
    raise SystemExit("reload.py: Prometheus does not see both services as up")


if __name__ == "__main__":
    main()
