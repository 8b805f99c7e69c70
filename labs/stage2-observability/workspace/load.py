"""Given: asks the gateway many questions at once and keeps what the clients saw in out/load.json.

    python load.py [--clients 16] [--seconds 40] [--requests 60] [--max-tokens 120]

It ends when the seconds are over and as many requests are answered, whichever comes later.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from pathlib import Path

import httpx

URL = os.environ.get("LABCTL_URL_GATEWAY", "http://127.0.0.1:8080")
OUT = Path("out/load.json")


async def client(number: int, until: float, requests: int, max_tokens: int, seen: list[float]) -> None:
    """One client: the next question as soon as the last is answered."""
    async with httpx.AsyncClient(timeout=300) as http:
        while time.time() < until or len(seen) < requests:
            began = time.perf_counter()
            # No two clients ask for answers of the same length, as in life.
            body = {"question": "Name the capital city of France.", "max_tokens": max_tokens + number, "long": True}
            answer = await http.post(f"{URL}/ask", json=body)
            answer.raise_for_status()
            seen.append(time.perf_counter() - began)


async def run(clients: int, seconds: float, requests: int, max_tokens: int) -> dict[str, float]:
    began, seen = time.time(), []
    await asyncio.gather(*(client(number, began + seconds, requests, max_tokens, seen) for number in range(clients)))
    return {
        "began": began,
        "ended": time.time(),
        "requests": len(seen),
        "p50_seconds": sorted(seen)[len(seen) // 2],
        "p95_seconds": sorted(seen)[int(len(seen) * 0.95)],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--requests", type=int, default=60)
    parser.add_argument("--max-tokens", type=int, default=120)
    given = parser.parse_args()
    record = asyncio.run(run(given.clients, given.seconds, given.requests, given.max_tokens))
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record, indent=2))
