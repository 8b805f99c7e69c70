"""Reads vLLM's own metrics. Given."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType

import httpx
from prometheus_client.parser import text_string_to_metric_families

COUNTERS = ("vllm:generation_tokens_total", "vllm:prompt_tokens_total", "vllm:request_success_total")
RUNNING = "vllm:num_requests_running"
LOOK_EVERY_S = 0.05


async def counters(client: httpx.AsyncClient) -> dict[str, float]:
    """The counters as they stand now, each summed over its labels."""
    found = await scrape(client)
    return {name: found.get(name, 0.0) for name in COUNTERS}


class Watch:
    """Looks at vLLM's gauge of running requests as long as it is open; `most_running` is the most it saw."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.most_running = 0.0

    async def __aenter__(self) -> Watch:
        self._task = asyncio.create_task(self._look())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _look(self) -> None:
        while True:
            self.most_running = max(self.most_running, (await scrape(self._client)).get(RUNNING, 0.0))
            await asyncio.sleep(LOOK_EVERY_S)


async def scrape(client: httpx.AsyncClient) -> dict[str, float]:
    """Every sample of /metrics by its name, summed over its labels."""
    text = (await client.get("/metrics")).raise_for_status().text
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found
