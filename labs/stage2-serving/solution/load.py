"""Step 4: put load on vLLM, one request at a time, then 4 and 16, and write what happened to out/load.json.

labctl exec stage2-serving -- python load.py
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import httpx
from metrics import counters

VLLM = os.environ["LABCTL_URL_VLLM"]
OUT = Path("out")
TOWNS = (Path(__file__).parent / "data" / "towns.txt").read_text().split()
CONCURRENCIES = (1, 4, 16)
REQUESTS = 16  # of each level, and four for each that runs at a time
MAX_TOKENS = 128


async def ask(client: httpx.AsyncClient, prompt: str) -> dict[str, Any]:
    """Send one streaming chat completion, and say what was seen of it.

    Returns `id` (vLLM's, the same in every piece), `tokens` (that were generated, as vLLM counts them), `ttft_s` (seconds from
    sending to the first piece that has text) and `total_s` (to the end of the stream).
    """
    body = {
        "model": "base",
        "messages": [{"role": "user", "content": prompt}],
        "temperature": 0,
        "max_tokens": MAX_TOKENS,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    began, seen = time.perf_counter(), {}
    async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
        answer.raise_for_status()
        async for line in answer.aiter_lines():
            if not line.startswith("data: {"):
                continue
            piece = json.loads(line.removeprefix("data: "))
            seen["id"] = piece["id"]
            if "ttft_s" not in seen and piece["choices"] and piece["choices"][0]["delta"].get("content"):
                seen["ttft_s"] = time.perf_counter() - began
            if piece.get("usage"):
                seen["tokens"] = piece["usage"]["completion_tokens"]
    return {**seen, "total_s": time.perf_counter() - began}


async def run(client: httpx.AsyncClient, prompts: list[str], concurrency: int) -> list[dict[str, Any]]:
    """Ask all `prompts`, never more than `concurrency` at the same time; as one ends, the next one starts."""
    free = asyncio.Semaphore(concurrency)

    async def wait_and_ask(prompt: str) -> dict[str, Any]:
        async with free:
            return await ask(client, prompt)

    return await asyncio.gather(*map(wait_and_ask, prompts))


async def measure(concurrency: int) -> dict[str, Any]:
    """One level of load: its requests, its seconds, and vLLM's own counters around it."""
    towns = islice(cycle(TOWNS), max(REQUESTS, 4 * concurrency))
    prompts = [f"Tell me about {town}." for town in towns]
    async with httpx.AsyncClient(base_url=VLLM, timeout=300) as client:
        before = await counters(client)
        began = time.perf_counter()
        requests = await run(client, prompts, concurrency)
        seconds = time.perf_counter() - began
        await asyncio.sleep(1)  # vLLM counts a request when it has let go of it, a moment after its last piece
        after = await counters(client)
    return {
        "seconds": seconds,
        "tokens_per_second": sum(request["tokens"] for request in requests) / seconds,
        "ttft_p50_s": statistics.median(request["ttft_s"] for request in requests),
        "in_flight": sum(request["total_s"] for request in requests) / seconds,  # on average: Little's law
        "before": before,
        "after": after,
        "requests": requests,
    }


async def main() -> None:
    found = {}
    for concurrency in CONCURRENCIES:
        found[str(concurrency)] = level = await measure(concurrency)
        told = {key: round(level[key], 4) for key in ("tokens_per_second", "ttft_p50_s", "in_flight")}
        print(f"{concurrency:3d} at a time: {told}", flush=True)
    OUT.mkdir(exist_ok=True)
    (OUT / "load.json").write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    asyncio.run(main())
