"""Steps 1 and 2: an agent by hand. Think, act, observe, and again, until there is an answer (ReAct).

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
    # Yours, step 1: ask llm.complete(messages, url=url). Without tool_calls its content is the answer. Otherwise append the
    # message itself, carry out the first call by act(), tell the model by {"role": "tool", "tool_call_id", "content"},
    # write the step down, and ask again.
    answer = ""
    write(trace, steps, answer)
    return answer


def act(name: str, arguments: str, earlier: list[Step]) -> tuple[Any, str]:
    """The arguments as a value (an empty object when they are no JSON object), and the observation: the result as JSON, or
    what went wrong, in words from which the model can do better.

    Never raises. A tool that is not there, arguments that do not fit the tool's schema, and a call that was carried out
    REPEATS times already are not carried out. A tool that fails for the moment is asked ATTEMPTS times.
    """
    # Yours: step 1 the call that works, step 2 all that can go wrong.
    raise NotImplementedError("step 1: act in agent.py is yours to write")


def problem_with(schema: dict[str, Any], arguments: dict[str, Any]) -> str | None:
    """What is wrong with the arguments by the tool's JSON schema: unknown, missing, wrong type, not in enum. None if nothing."""
    # Yours, step 2. All arguments of these tools are strings.
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
