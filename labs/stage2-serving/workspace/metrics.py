"""Reads vLLM's own metrics. Given."""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families

COUNTERS = ("vllm:generation_tokens_total", "vllm:prompt_tokens_total", "vllm:request_success_total")


async def counters(client: httpx.AsyncClient) -> dict[str, float]:
    """The counters as they stand now, each summed over its labels."""
    found = await scrape(client)
    return {name: found.get(name, 0.0) for name in COUNTERS}


async def scrape(client: httpx.AsyncClient) -> dict[str, float]:
    """Every sample of /metrics by its name, summed over its labels."""
    text = (await client.get("/metrics")).raise_for_status().text
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found
