"""Fills in answers.yaml from the load that was run and from out/quality.json."""

from __future__ import annotations

import json
import os
from pathlib import Path

import httpx
import yaml

import metrics

URL = os.environ["LABCTL_URL_PROMETHEUS"]
P95 = "histogram_quantile(0.95, sum by (le) (rate(llm_request_seconds_bucket[1m])))"


def main() -> None:
    answers = {"p95": p95(), "quality": quality()}
    Path("answers.yaml").write_text(yaml.safe_dump(answers, sort_keys=False))


def p95() -> dict[str, float]:
    """What Prometheus says of the load's last moments, and the bucket that it lies in."""
    load = json.loads(Path("out/load.json").read_text())
    answer = httpx.get(f"{URL}/api/v1/query", params={"query": P95, "time": load["ended"] - 2}, timeout=30).json()
    seconds = float(answer["data"]["result"][0]["value"][1])
    return {"seconds": round(seconds, 3), "bucket_above": min(each for each in metrics.BUCKETS if each >= seconds)}


def quality() -> dict[str, object]:
    """What out/quality.json comes to."""
    found = json.loads(Path("out/quality.json").read_text())
    bad = [row for row in found["rows"] if row["label"] == "bad"]
    return {
        "rouge_misled": sum(row["rouge_l"] >= 0.5 for row in bad),
        "judge_misled": sum(row["judge"] == "good" for row in bad),
        "trust": "judge" if found["judge_kappa"] > found["rouge_kappa"] else "rouge",
    }


if __name__ == "__main__":
    main()
