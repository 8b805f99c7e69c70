"""Calls the learner's memory.py with what stands on stdin, and prints what came back as one line of JSON. No model is loaded.

{"do": "window", "cases": [{"messages", "costs", "budget"}]}  costs: tokens of each message; each message costs 3 more
{"do": "conversations", "steps": [["add", id, said, answer] | ["forget", id] | ["messages", id] | ["spoil", id]]}
"""

from __future__ import annotations

import copy
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

sys.path[0] = str(Path.cwd())


def main() -> None:
    asked = json.load(sys.stdin)
    with redirect_stdout(sys.stderr):
        try:
            import memory

            answer = {"value": windows(memory, asked) if asked["do"] == "window" else conversations(memory, asked)}
        except BaseException as error:  # noqa: BLE001 the learner's code may fail in any way
            answer = {"error": " ".join(f"{type(error).__name__}: {error}".split())[:300]}
    print(json.dumps(answer))


def windows(memory: Any, asked: dict[str, Any]) -> list[Any]:
    """Of each case the window, "too long", or how the call failed; and whether the list given was left as it was."""
    found = []
    for case in asked["cases"]:
        costs = dict(case["costs"])

        def count(messages: list[dict[str, str]], costs: dict[str, int] = costs) -> int:
            return 5 + sum(costs[message["content"]] + 3 for message in messages)

        given = copy.deepcopy(case["messages"])
        try:
            shown: Any = memory.window(given, count, case["budget"])
        except memory.TooLong:
            shown = "too long"
        found.append({"shown": shown, "untouched": given == case["messages"]})
    return found


def conversations(memory: Any, asked: dict[str, Any]) -> list[Any]:
    """What `messages` returned at each step that asks for it."""
    kept, other, found = memory.Conversations(), memory.Conversations(), []
    for do, *given in asked["steps"]:
        if do == "spoil":
            for message in kept.messages(*given):
                message["content"] = "spoilt"
            kept.messages(*given).clear()
        elif do == "elsewhere":
            other.add(*given)
        else:
            value = getattr(kept, do)(*given)
            found += [value] if do == "messages" else []
    return found


if __name__ == "__main__":
    main()
