"""Steps 1 and 2: an agent by hand. Think, act, observe, and again, until there is an answer (ReAct).

labctl exec stage2-agents -- python agent.py "What is the weather in Omsk tomorrow?"
labctl exec stage2-agents -- python agent.py --unruly "What does a lamp cost?"
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import llm

SYSTEM = (
    "You solve tasks with the tools you are given. Before each call say in one sentence what you need and why. One call at a "
    "time. Use only what the tools tell you. When you have the answer, say it without a call; when you cannot find it, say "
    "that you could not, and why."
)
MAX_STEPS = 8
ATTEMPTS = 3
"""How often a tool that fails for the moment is asked, all in all."""
REPEATS = 2
"""How often the same call with the same arguments is carried out in one run."""

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
        tool = {"tool": asked["name"], "arguments": arguments, "observation": "done"}
        steps.append({"thought": thought or f"(none given for {asked['name']})", **tool})
        messages.append({"role": "assistant", "content": message.get("content") or "", "tool_calls": calls[:1]})
        messages.append({"role": "tool", "tool_call_id": calls[0]["id"], "content": observation})
    write(trace, steps, answer)
    return answer


def act(name: str, arguments: str, earlier: list[Step]) -> tuple[Any, str]:
    """The arguments as a value (an empty object when they are no JSON object), and the observation: the result as JSON, or
    what went wrong, in words from which the model can do better.

    Never raises. A tool that is not there, arguments that do not fit the tool's schema, and a call that was carried out
    REPEATS times already are not carried out. A tool that fails for the moment is asked ATTEMPTS times.
    """
    known = {tool["function"]["name"]: tool["function"] for tool in llm.tools()}
    given = parse(arguments)
    values = {} if given is None else given
    if name not in known:
        return values, f"error: there is no tool {name}. There are: {', '.join(known)}"
    schema = known[name]["parameters"]
    problem = "the arguments are no JSON object" if given is None else problem_with(schema, given)
    if problem:
        return values, f"error: {problem}. {name} takes {json.dumps(schema['properties'])}"
    if sum(step["tool"] == name and step["arguments"] == values for step in earlier) >= REPEATS:
        return values, f"error: you called {name} with these arguments {REPEATS} times; the answer stays. Do something else."
    return values, attempt(name, values)


def parse(arguments: str) -> dict[str, Any] | None:
    try:
        value = json.loads(arguments)
    except (TypeError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def attempt(name: str, arguments: dict[str, Any]) -> str:
    """What the tool brings, asked again when it fails for the moment."""
    for number in range(1, ATTEMPTS + 1):
        try:
            return json.dumps(llm.call_tool(name, arguments), ensure_ascii=False)
        except llm.ToolFailed as error:
            if not error.temporary or number == ATTEMPTS:
                return f"{error} (asked {number} times)"
            time.sleep(0.1 * 2**number)
    raise AssertionError("not reached")


def problem_with(schema: dict[str, Any], arguments: dict[str, Any]) -> str | None:
    """What is wrong with the arguments by the tool's JSON schema: unknown, missing, wrong type, not in enum. None if nothing."""
    known = schema["properties"]
    for name in schema["required"]:
        if name not in arguments:
            return f"the argument {name} is missing"
    for name, value in arguments.items():
        if name not in known:
            return f"there is no argument {name}"
        if not isinstance(value, str):
            return f"the argument {name} must be a string, not {json.dumps(value)}"
        if value not in known[name].get("enum", [value]):
            return f"the argument {name} must be one of {', '.join(known[name]['enum'])}"
    return None


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
