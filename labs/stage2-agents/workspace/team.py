"""Step 3: the same agent by a library, smolagents' ToolCallingAgent.

labctl exec stage2-agents -- python team.py "What is the weather in Omsk tomorrow?"
"""

from __future__ import annotations

import sys

import llm
from smolagents import OpenAIModel, Tool, ToolCallingAgent, tool  # noqa: F401 yours to use


def tools() -> list[Tool]:
    """The weather, an order, a sum and an email as smolagents' tools. Each asks llm.call_tool."""
    # Yours: @tool makes one from a function with type hints and a docstring in Google's form; the model reads both.
    raise NotImplementedError("step 3: tools in team.py is yours to write")


def run(task: str) -> str:
    """The agent's answer to the task, after at most 6 steps."""
    # Yours: OpenAIModel with model_id=llm.MODEL, api_base=f"{llm.LLM_URL}/v1" and any api_key; ToolCallingAgent.
    raise NotImplementedError("step 3: run in team.py is yours to write")


if __name__ == "__main__":
    print(run(sys.argv[1]))
