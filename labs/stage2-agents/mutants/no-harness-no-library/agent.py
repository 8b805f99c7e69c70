"""An agent without a harness. Think, act, observe, and again, until there is an answer (ReAct).

labctl exec stage2-agents -- python agent.py "What is the weather in Omsk tomorrow?"
labctl exec stage2-agents -- python agent.py --unruly "What does a lamp cost?"
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import llm

SYSTEM = (
    "You solve tasks with the tools you are given. Before each call say in one sentence what you need and why. One call at a "
    "time. Use only what the tools tell you. When you have the answer, say it without a call; when you cannot find it, say "
    "that you could not, and why."
)
MAX_STEPS = 8

Step = dict[str, Any]


def run(task: str, *, url: str = llm.LLM_URL, max_steps: int = MAX_STEPS, trace: str = "out/trace.jsonl") -> str:
    """The answer to `task` by the model at `url`, after at most `max_steps` calls that it asked for.

    Writes `trace`, JSON lines: for each call {"thought", "tool", "arguments", "observation"}, in order, and a last line
    {"answer"}. `observation` is exactly what the model is told of the call. A call that was not carried out is a step
    too. When the steps are used up the answer begins with "I could not".
    """
    steps: list[Step] = []
    messages: list[dict[str, Any]] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": task}]
    while True:
        message = llm.complete(messages, url=url)
        thought, calls = (message.get("content") or "").strip(), message.get("tool_calls") or []
        if not calls:
            answer = thought or "I could not find an answer."
            break
        if len(steps) == max_steps:
            answer = f"I could not finish this within {max_steps} steps."
            break
        asked = calls[0]["function"]
        arguments, observation = act(asked["name"], asked["arguments"], steps)
        tool = {"tool": asked["name"], "arguments": arguments, "observation": observation}
        steps.append({"thought": thought or f"(none given for {asked['name']})", **tool})
        messages.append({"role": "assistant", "content": message.get("content") or "", "tool_calls": calls[:1]})
        messages.append({"role": "tool", "tool_call_id": calls[0]["id"], "content": observation})
    write(trace, steps, answer)
    return answer


def act(name: str, arguments: str, earlier: list[Step]) -> tuple[Any, str]:
    """Believes whatever the model says."""
    try:
        values = json.loads(arguments)
        return values, json.dumps(llm.call_tool(name, values), ensure_ascii=False)
    except (llm.ToolFailed, ValueError) as error:
        return {}, f"error: {error}"


def write(trace: str, steps: list[Step], answer: str) -> None:
    """The trace as JSON lines."""
    file = Path(trace)
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [*steps, {"answer": answer}]
    file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("task")
    parser.add_argument("--trace", default="out/trace.jsonl")
    parser.add_argument("--unruly", action="store_true", help="the model that makes mistakes")
    args = parser.parse_args()
    answer = run(args.task, url=llm.UNRULY_URL if args.unruly else llm.LLM_URL, trace=args.trace)
    print(Path(args.trace).read_text(), end="")
    print(answer)


if __name__ == "__main__":
    main()
