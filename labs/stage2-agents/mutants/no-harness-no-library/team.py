"""Step 3: the same agent by a library, smolagents' ToolCallingAgent.

labctl exec stage2-agents -- python team.py "What is the weather in Omsk tomorrow?"
"""

from __future__ import annotations

import json
import sys

import agent
import llm
from smolagents import Tool, tool


def tools() -> list[Tool]:
    """The weather, an order, a sum and an email as smolagents' tools. Each asks llm.call_tool."""

    @tool
    def get_weather(city: str, day: str) -> str:
        """The weather in a city, today or tomorrow.

        Args:
            city: the city's name
            day: today or tomorrow
        """
        return json.dumps(llm.call_tool("get_weather", {"city": city, "day": day}))

    @tool
    def get_order(order_id: str) -> str:
        """An order: what was ordered, and its total in euros.

        Args:
            order_id: a capital letter and three digits, for example K123
        """
        return json.dumps(llm.call_tool("get_order", {"order_id": order_id}))

    @tool
    def calculate(expression: str) -> str:
        """The value of a sum.

        Args:
            expression: a sum, for example 12.5 + 3 * 4
        """
        return json.dumps(llm.call_tool("calculate", {"expression": expression}))

    @tool
    def send_email(to: str, subject: str, body: str) -> str:
        """Send an email.

        Args:
            to: an address
            subject: one line
            body: the text
        """
        return json.dumps(llm.call_tool("send_email", {"to": to, "subject": subject, "body": body}))

    return [get_weather, get_order, calculate, send_email]


def run(task: str) -> str:
    """The agent's answer to the task, by the loop of step 1."""
    return agent.run(task, trace="out/team.jsonl")


if __name__ == "__main__":
    print(run(sys.argv[1]))
