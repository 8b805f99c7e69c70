"""The solve prompt: the answer at once against the answer after its steps, and how an answer is found in a text."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any

import yaml

from labctl.checks.answers import is_open, to_number

Row = dict[str, Any]
FRESH = 24
GAIN = 0.3
TIMES_AS_LONG = 4
ANSWER = re.compile(r"^\W*answer\W*?(-?\d[\d,]*)", re.IGNORECASE | re.MULTILINE)


def test_steps_are_better(data: Any, ask: Any, parameters: Mapping[str, Any]) -> None:
    fresh = data.source.problems(random.SystemRandom(), FRESH)
    direct, steps = ask(("prompts/solve/v1.yaml", fresh), ("prompts/solve/v2.yaml", fresh))
    for row, sent in zip(fresh, [*direct["sent"], *steps["sent"]], strict=False):
        assert row["question"] in sent[-1]["content"], "a solve prompt does not hold the question"
    direct_right, steps_right = (share_right(found, fresh) for found in (direct, steps))
    told = f"on {len(fresh)} new problems v1 gets {direct_right:.0%} right, v2 {steps_right:.0%}"
    least, longer = float(parameters["steps"]), written(steps) / max(1, written(direct))
    assert longer >= TIMES_AS_LONG, (
        f"v2 writes {longer:.1f} times as many tokens as v1; v1 is to answer at once, v2 to write its steps first"
    )
    said = steps["replies"][0]["text"][-160:]
    assert steps_right >= least, f"{told}; wanted at least {least:.0%} of v2. A reply ended with {said!r}"
    assert steps_right >= direct_right + GAIN, f"{told}; wanted {GAIN:.0%} more of v2 than of v1"


def test_table(workspace: Any, data: Any, ask: Any) -> None:
    table = workspace.read_json("out/results.json").get("solve")
    assert isinstance(table, dict), "out/results.json has no solve"
    rows = list(data.problems)
    found = ask(*((f"prompts/solve/{version}.yaml", rows) for version in ("v1", "v2")))
    for version, now in zip(("v1", "v2"), found, strict=True):
        record = table.get(version)
        assert isinstance(record, dict), f"out/results.json: solve has no {version}"
        prompt_tokens = sum(reply["prompt_tokens"] for reply in now["replies"])
        assert record.get("prompt_tokens") == prompt_tokens, (
            f"out/results.json: solve.{version}.prompt_tokens is {record.get('prompt_tokens')}; asking again takes {prompt_tokens}"
        )
        correct, told = share_right(now, rows) * len(rows), to_number(record.get("correct"))
        assert told is not None, f"out/results.json: solve.{version}.correct is no number"
        assert abs(told - correct) <= 2, (
            f"out/results.json: solve.{version}.correct is {told:g}; asking again gets {correct:g} right"
        )
    ratio = table["v2"]["completion_tokens"] / table["v1"]["completion_tokens"]
    given = (yaml.safe_load(workspace.read_text("answers.yaml")) or {}).get("reasoning") or {}
    answer = given.get("times_as_many_tokens")
    assert not is_open(answer), "reasoning.times_as_many_tokens in answers.yaml is not answered yet"
    number = to_number(answer)
    assert number is not None, "reasoning.times_as_many_tokens in answers.yaml is no number"
    assert abs(number - ratio) <= 0.03 * ratio, (
        "reasoning.times_as_many_tokens in answers.yaml does not follow from your out/results.json"
    )


def test_extract_number(call: Any) -> None:
    """`extract_number`, on replies made for this check."""
    chance = random.SystemRandom()
    one, two, three = chance.sample(range(13, 90), 3)
    cases: list[tuple[str, int | None]] = [
        (f"Park: {one} + 1 = {one + 1}\nAnswer: {two}", two),
        (f"Answer: {two}\nThat is {one} more than {three}.", two),
        (f"Park: {one} - 3 = {one - 3}\nMill: {one - 3} + {three} =", None),
        (f"answer: **{three}** people.", three),
        (f"Answer: {one}\nWait, Mill is missing.\nAnswer: {two}", two),
        (f"Answer: {one},2{two}", one * 1000 + 200 + two),
        (f"Answer: -{three}", -three),
        (f"The answer to {one} such questions is unknown.", None),
        ("Answer: I cannot tell.", None),
        ("", None),
        (f"{one}", one),
        (f" {two}.", two),
    ]
    values = call("extract", "extract_number", [(text,) for text, _ in cases])
    for (text, wanted), value in zip(cases, values, strict=True):
        kind = "None" if wanted is None else "the number of the answer"
        assert value == wanted, f"extract_number({text!r}) is {value!r}; wanted {kind}"


def share_right(found: Row, rows: Any) -> float:
    """The share of replies whose last `Answer:`, or whose only word, is the row's answer."""
    return sum(
        number_of(reply["text"]) == row["answer"] for reply, row in zip(found["replies"], rows, strict=True)
    ) / len(rows)


def number_of(text: str) -> int | None:
    said = ANSWER.findall(text) or re.findall(r"^\s*(-?\d+)\.?\s*$", text)
    return int(said[-1].replace(",", "")) if said else None


def written(found: Row) -> float:
    """Completion tokens of a reply, on average."""
    return sum(reply["completion_tokens"] for reply in found["replies"]) / len(found["replies"])
