"""Writes answers.yaml from what the tools' service saw. Only the solution has it: a learner works them out."""

from __future__ import annotations

import json
import random
from pathlib import Path

import agent
import httpx
import llm
import yaml


def main() -> None:
    looked = {
        "stock_calls": seen(f"How many {new_word()}s are in stock?", llm.LLM_URL, "get_stock"),
        "anvil_calls": seen("How many anvils are in stock?", llm.LLM_URL, "get_stock"),
        "lookups": seen("When will parcel P7 arrive?", llm.UNRULY_URL, "track_parcel"),
    }
    agent.run("What does a lamp cost?", url=llm.UNRULY_URL, trace="out/invented.jsonl")
    first = json.loads(Path("out/invented.jsonl").read_text().splitlines()[0])
    answers = {
        "predicted": {"tool_calls": 2, "model_calls": 3},
        "limits": {**looked, "invented_tool": first["tool"]},
    }
    Path("answers.yaml").write_text(yaml.safe_dump(answers, sort_keys=False))


def new_word() -> str:
    """Something that nobody asked the warehouse for before."""
    return "umbrella" + "".join(random.choices("bcdfgklmnprt", k=6))


def seen(task: str, url: str, tool: str) -> int:
    """How many calls of the tool the service saw while the agent worked on the task."""
    before = len(calls(tool))
    agent.run(task, url=url, trace="out/looked.jsonl")
    return len(calls(tool)) - before


def calls(tool: str) -> list[dict]:
    answer = httpx.get(f"{llm.TOOLS_URL}/calls", timeout=30).json()["calls"]
    return [call for call in answer if call["tool"] == tool]


if __name__ == "__main__":
    main()
