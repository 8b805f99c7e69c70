"""Loads vLLM as the solution does, but awaits each answer before the next request is sent."""

import asyncio

import load


async def run(client, prompts, concurrency):  # noqa: ARG001
    return [await load.ask(client, prompt) for prompt in prompts]


load.run = run
asyncio.run(load.main())
