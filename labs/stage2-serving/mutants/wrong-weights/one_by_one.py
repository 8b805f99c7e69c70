"""Loads vLLM with 16 requests a level, and awaits each answer before the next request is sent."""

import asyncio

import load


async def run(client, prompts, concurrency):  # noqa: ARG001
    return [await load.ask(client, prompt) for prompt in prompts[: load.REQUESTS]]


load.run = run
asyncio.run(load.main())
