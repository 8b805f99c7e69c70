"""Runs the learner's agents on tasks from stdin and prints what they answered, as JSON. Runs in the session.

    python drive.py agent    {"tasks": [{"task", "model": "llm" or "unruly", "max_steps"}]} → [{"answer", "trace"}]
    python drive.py team     {"tasks": [{"task"}]} → [{"answer", "library": runs of smolagents' agent}]
    python drive.py graph    {"tasks": [{"task", "yes": what the person says}]} → [{"answer", "asked", "nodes", "branches"}]

What is printed here is not believed by itself: the checks ask the tools' service what it saw.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, "")
Task = dict[str, Any]
MAX_ASKED = 5


def main() -> None:
    out, sys.stdout = sys.stdout, sys.stderr  # what the learner's module prints is not the answer
    runs: dict[str, Callable[[list[Task]], list[Any]]] = {"agent": agents, "team": teams, "graph": graphs}
    found = runs[sys.argv[1]](json.load(sys.stdin)["tasks"])
    print(json.dumps(found, default=repr), file=out)


def agents(tasks: list[Task]) -> list[Any]:
    def one(task: Task) -> Any:
        import agent
        import llm

        url = {"llm": llm.LLM_URL, "unruly": llm.UNRULY_URL}[task["model"]]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "trace.jsonl"
            answer = agent.run(task["task"], url=url, max_steps=task.get("max_steps", 8), trace=str(file))
            return {"answer": answer, "trace": file.read_text(encoding="utf-8") if file.is_file() else None}

    return [guarded(one, task) for task in tasks]


def teams(tasks: list[Task]) -> list[Any]:
    import smolagents

    runs = 0
    original = smolagents.MultiStepAgent.run

    def counted(self: Any, *values: Any, **named: Any) -> Any:
        nonlocal runs
        runs += isinstance(self, smolagents.ToolCallingAgent)
        return original(self, *values, **named)

    smolagents.MultiStepAgent.run = counted

    def one(task: Task) -> Any:
        import team

        before = runs
        return {"answer": team.run(task["task"]), "library": runs - before}

    return [guarded(one, task) for task in tasks]


def graphs(tasks: list[Task]) -> list[Any]:
    from langgraph.types import Command

    def one(task: Task) -> Any:
        import graph

        built = graph.build()
        drawn = built.get_graph()
        thread = {"configurable": {"thread_id": task["task"]}, "recursion_limit": 60}
        result, asked = built.invoke({"task": task["task"]}, thread), []
        while "__interrupt__" in result and len(asked) < MAX_ASKED:
            asked.append(result["__interrupt__"][0].value)
            result = built.invoke(Command(resume=task.get("yes", False)), thread)
        branches = sorted({edge.source for edge in drawn.edges if edge.conditional})
        return {"answer": result.get("answer"), "asked": asked, "nodes": sorted(drawn.nodes), "branches": branches}

    return [guarded(one, task) for task in tasks]


def guarded(run: Callable[[Task], Any], task: Task) -> Any:
    try:
        return run(task)
    except BaseException as error:  # noqa: BLE001 whatever it is, it is the learner's to mend
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]}


if __name__ == "__main__":
    main()
