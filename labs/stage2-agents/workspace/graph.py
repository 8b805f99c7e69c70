"""Step 4: the agent as a graph (LangGraph): plan, approve, act, check, with a person who may say no to an email.

labctl exec stage2-agents -- python graph.py "Write to team@example.org what the weather in Omsk will be tomorrow."
"""

from __future__ import annotations

import json
import sys
from typing import Any, TypedDict

import llm  # noqa: F401 yours to use
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph  # noqa: F401 yours to use
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, interrupt  # noqa: F401 yours to use

MAX_ATTEMPTS = 3


class State(TypedDict, total=False):
    """What the nodes hand on. Every node returns only what it changes."""

    task: str
    messages: list[dict[str, Any]]
    call: dict[str, Any] | None  # the call that the model asked for: {"id", "name", "arguments"}
    observation: str  # what came of it
    failed: bool  # whether it may work a moment later
    attempts: int  # how often this call was carried out
    answer: str


def plan(state: State) -> State:
    """Asks the model for the next call, or for the answer."""
    raise NotImplementedError("step 4: plan in graph.py is yours to write")


def approve(state: State) -> State:
    """Asks a person about the call, by interrupt({"tool", "arguments"}); a no becomes the observation."""
    raise NotImplementedError("step 4: approve in graph.py is yours to write")


def act(state: State) -> State:
    """Carries the call out once."""
    raise NotImplementedError("step 4: act in graph.py is yours to write")


def check(state: State) -> State:
    """Tells the model what came of the call, unless it is to be tried again."""
    raise NotImplementedError("step 4: check in graph.py is yours to write")


def build() -> CompiledStateGraph:
    """The graph, with a checkpointer, so that it can wait for a person.

    START → plan → END (there is an answer), approve (send_email), or act (any other tool)
    approve → act (yes) or check (no);  act → check;  check → act (failed, and fewer than MAX_ATTEMPTS) or plan
    """
    graph = StateGraph(State)
    # Yours: nodes, edges, conditional edges.
    return graph.compile(checkpointer=InMemorySaver())


def main() -> None:
    graph, thread = build(), {"configurable": {"thread_id": "1"}, "recursion_limit": 40}
    result = graph.invoke({"task": sys.argv[1]}, thread)
    while "__interrupt__" in result:
        print(json.dumps(result["__interrupt__"][0].value, indent=2, ensure_ascii=False))
        yes = input("Send it? (y/n) ").strip().lower().startswith("y")
        result = graph.invoke(Command(resume=yes), thread)
    print(result["answer"])


if __name__ == "__main__":
    main()
