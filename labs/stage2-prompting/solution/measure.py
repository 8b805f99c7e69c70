"""Steps 3 and 4: what each version of the prompts gets right, and what it costs. Writes out/results.json.

labctl exec stage2-prompting -- python measure.py
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from examples import choose
from extract import extract_number
from prompting import Prompt, Reply, ask_all, load, read_rows

SHOTS = [0, 1, 2, 4, 8]
Row = dict[str, Any]


def measure_route(prompt: Prompt, test: list[Row], desks: list[str]) -> Row:
    """{"examples", "correct", "of", "prompt_tokens", "completion_tokens"} of the prompt on the test rows.

    `examples` are the prompt's own, `correct` counts replies that are exactly the row's desk, the tokens are sums over
    all rows. The template is given `message` and `desks`.
    """
    replies = ask_all(prompt, [{**row, "desks": desks} for row in test])
    correct = sum(reply.text == row["desk"] for reply, row in zip(replies, test, strict=True))
    return {"examples": prompt.examples, "correct": correct, "of": len(test), **spent(replies)}


def measure_solve(prompt: Prompt, problems: list[Row]) -> Row:
    """The same without `examples`, for bus problems: the template is given `question`, extract_number finds the answer."""
    replies = ask_all(prompt, problems)
    correct = sum(extract_number(reply.text) == row["answer"] for reply, row in zip(replies, problems, strict=True))
    return {"correct": correct, "of": len(problems), **spent(replies)}


def spent(replies: list[Reply]) -> Row:
    """The tokens of all replies together."""
    return {
        "prompt_tokens": sum(reply.prompt_tokens for reply in replies),
        "completion_tokens": sum(reply.completion_tokens for reply in replies),
    }


def main() -> None:
    pool, test = read_rows("data/pool.jsonl"), read_rows("data/test.jsonl")
    desks = sorted({row["desk"] for row in pool})
    few_shot = load("route", "v2")
    results: dict[str, Any] = {"route": {}, "solve": {}}
    for shots in SHOTS:
        prompt = replace(few_shot, examples=choose(pool, test, shots))
        results["route"][str(shots)] = found = measure_route(prompt, test, desks)
        print(f"{shots} examples: {found['correct']} of {found['of']} right, {found['prompt_tokens']} prompt tokens")
    write(results)
    problems = read_rows("data/problems.jsonl")
    for version in ("v1", "v2"):
        results["solve"][version] = found = measure_solve(load("solve", version), problems)
        print(f"solve {version}: {found['correct']} of {found['of']} right, {found['completion_tokens']} tokens written")
    write(results)


def write(results: dict[str, Any]) -> None:
    Path("out").mkdir(exist_ok=True)
    Path("out/results.json").write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
