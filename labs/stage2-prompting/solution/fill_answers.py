"""Writes answers.yaml from out/results.json and a run of v3. Only the solution has it: a learner works them out."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import yaml
from measure import measure_route
from prompting import Row, ask_all, load, read_rows


def main() -> None:
    results = json.loads(Path("out/results.json").read_text())
    route, solve = results["route"], results["solve"]
    each = {shots: found["prompt_tokens"] / found["of"] for shots, found in route.items()}
    cheapest = next((shots for shots, found in route.items() if found["correct"] >= 0.8 * found["of"]), "8")
    written = route[cheapest]["completion_tokens"] / route[cheapest]["of"]
    test = read_rows("data/test.jsonl")
    desks = sorted({row["desk"] for row in test})
    answers = {
        "predicted": {"zero_shot_accuracy": 1 / len(desks)},
        "cost": {
            "tokens_per_example": (each["8"] - each["0"]) / 8,
            "cheapest_good_shots": int(cheapest),
            "million_messages": each[cheapest] * 0.50 + written * 2.00,
        },
        "reasoning": {"times_as_many_tokens": solve["v2"]["completion_tokens"] / solve["v1"]["completion_tokens"]},
        "regression": {
            "v3_correct": measure_route(load("route", "v3"), test, desks)["correct"],
            "wrong_desks": ", ".join(wrong_desks(test, desks)),
        },
    }
    Path("answers.yaml").write_text(yaml.safe_dump(answers, sort_keys=False))


def wrong_desks(test: list[Row], desks: list[str]) -> list[str]:
    """The desks that get the least of their messages from v3."""
    replies = ask_all(load("route", "v3"), [{**row, "desks": desks} for row in test])
    hits = Counter(row["desk"] for reply, row in zip(replies, test, strict=True) if reply.text == row["desk"])
    return sorted(sorted(desks, key=lambda desk: hits[desk])[:2])


if __name__ == "__main__":
    main()
