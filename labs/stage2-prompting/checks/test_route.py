"""The route prompt: zero-shot, few-shot, what more examples bring and what they cost."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from labctl.checks.answers import is_open, to_number

Row = dict[str, Any]
SHOTS = ("0", "1", "2", "4", "8")
FRESH_PER_DESK = 10
GAIN = 0.3
"""By how much of all messages few-shot must be better than zero-shot."""
ROWS_OFF = 2
"""How many of 24 rows may come out differently when they are asked again: in other batches the same sums round otherwise."""
DOLLARS_PER_PROMPT_TOKEN, DOLLARS_PER_COMPLETION_TOKEN = 0.50e-6, 2.00e-6
GOOD = 0.8


def test_zero_shot_prompt(workspace: Any, data: Any, ask: Any, alike: Any) -> None:
    pool = workspace_rows(workspace, "data/pool.jsonl")
    assert pool == list(data.pool), "data/pool.jsonl is not your session's; `python get_data.py` writes it"
    nonce = f"my parcel number {random.SystemRandom().randrange(10**6, 10**7)} is late"
    found = ask(("prompts/route/v1.yaml", [{"message": nonce, "desks": data.names}]), dry=True)[0]
    sent = " ".join(turn["content"] for turn in found["sent"][0])
    assert nonce in sent, "prompts/route/v1.yaml: the message is not in what is sent to the model"
    missing = [desk for desk in data.names if desk not in sent]
    assert not missing, f"prompts/route/v1.yaml: the model is not told of the desk {missing[0]}"
    assert not found["prompt"]["examples"], "prompts/route/v1.yaml has examples; zero-shot has none"
    shown = [row for row in [*data.pool, *data.test] if alike(row["message"]) in alike(sent)]
    assert not shown, "prompts/route/v1.yaml shows a message of your data; zero-shot has no examples"


def test_examples(data: Any, ask: Any, alike: Any) -> None:
    found = ask(("prompts/route/v2.yaml", [{"message": "?", "desks": data.names}]), dry=True)[0]
    examples = found["prompt"]["examples"]
    assert 4 <= len(examples) <= 16, f"prompts/route/v2.yaml has {len(examples)} examples; wanted 4 to 16"
    fair(examples, data.pool, data.test, alike)
    sent = alike(" ".join(turn["content"] for turn in found["sent"][0]))
    hidden = [row for row in examples if alike(row["message"]) not in sent]
    assert not hidden, "prompts/route/v2.yaml has examples that its template does not show"


def test_choose(data: Any, call: Any, alike: Any) -> None:
    """`choose`, on pools and test sets made for this check."""
    chance = random.SystemRandom()
    calls = []
    for shots in (4, 6, 8):
        used: set[str] = set()
        desks = data.source.desks_of(f"check {chance.random()}")
        pool, test = (data.source.messages(desks, chance, 6, used) for _ in range(2))
        repeated = [{**row, "message": row["message"].upper() + "."} for row in test[:4]]
        pool = [*repeated, *pool]
        calls.append((pool, test, shots))
    for (pool, test, shots), chosen in zip(calls, call("examples", "choose", calls), strict=True):
        assert isinstance(chosen, list), "choose returns no list"
        assert len(chosen) == shots, f"choose was asked for {shots} examples and returned {len(chosen)}"
        fair(chosen, pool, test, alike)


def test_few_shot_is_better(data: Any, ask: Any, count_right: Any, parameters: Mapping[str, Any]) -> None:
    fresh = [{**row, "desks": data.names} for row in data.fresh(FRESH_PER_DESK)]
    zero, few = ask(("prompts/route/v1.yaml", fresh), ("prompts/route/v2.yaml", fresh))
    zero_right, few_right = (count_right(found, fresh) / len(fresh) for found in (zero, few))
    told = f"on {len(fresh)} new messages v1 gets {zero_right:.0%} right, v2 {few_right:.0%}"
    least = float(parameters["few_shot"])
    assert few_right >= least, f"{told}; wanted at least {least:.0%} of v2. It said for example {wrong(few, fresh)!r}"
    assert few_right >= zero_right + GAIN, f"{told}; wanted {GAIN:.0%} more of v2 than of v1"


def test_table(workspace: Any, data: Any, ask: Any, count_right: Any, alike: Any) -> None:
    table = measured(workspace, "route")
    test = [{**row, "desks": data.names} for row in data.test]
    (prompt,) = ask(("prompts/route/v2.yaml", test[:1]), dry=True)
    jobs = []
    for shots in SHOTS:
        record = table.get(shots)
        assert isinstance(record, dict), f"out/results.json: route has nothing for {shots} examples"
        examples = record.get("examples")
        assert isinstance(examples, list), f"out/results.json: route.{shots} has no list of examples"
        assert len(examples) == int(shots), f"out/results.json: route.{shots} has {len(examples)} examples"
        if int(shots) >= len(data.names):
            fair(examples, data.pool, data.test, alike)
        jobs.append(({**prompt["prompt"], "examples": examples}, test))
    for shots, found in zip(SHOTS, ask(*jobs), strict=True):
        agrees(f"route.{shots}", table[shots], found, count_right(found, test), len(test))


def test_cost(workspace: Any) -> None:
    table, answers = measured(workspace, "route"), read_answers(workspace)
    tokens = {shots: table[shots]["prompt_tokens"] / table[shots]["of"] for shots in SHOTS}
    good = [shots for shots in SHOTS if table[shots]["correct"] >= GOOD * table[shots]["of"]]
    assert good, f"in out/results.json no number of examples gets {GOOD:.0%} right"
    cheapest = good[0]
    written = table[cheapest]["completion_tokens"] / table[cheapest]["of"]
    dollars = 1e6 * (tokens[cheapest] * DOLLARS_PER_PROMPT_TOKEN + written * DOLLARS_PER_COMPLETION_TOKEN)
    wanted = {
        "tokens_per_example": (tokens["8"] - tokens["0"]) / 8,
        "cheapest_good_shots": float(cheapest),
        "million_messages": dollars,
    }
    agree(answers, "cost", wanted)


def agrees(name: str, record: Row, found: Row, correct: int, of: int) -> None:
    """Fails unless what was recorded is what is measured now."""
    spent = {kind: sum(reply[kind] for reply in found["replies"]) for kind in ("prompt_tokens", "completion_tokens")}
    assert record.get("of") == of, f"out/results.json: {name}.of is {record.get('of')}; there are {of} rows"
    assert record.get("prompt_tokens") == spent["prompt_tokens"], (
        f"out/results.json: {name}.prompt_tokens is {record.get('prompt_tokens')}; asking again takes {spent['prompt_tokens']}"
    )
    told = to_number(record.get("correct"))
    assert told is not None, f"out/results.json: {name}.correct is no number"
    assert abs(told - correct) <= ROWS_OFF, (
        f"out/results.json: {name}.correct is {told:g}; asking again gets {correct} right"
    )
    written = to_number(record.get("completion_tokens")) or 0
    assert abs(written - spent["completion_tokens"]) <= 0.1 * spent["completion_tokens"], (
        f"out/results.json: {name}.completion_tokens is {written:g}; asking again writes {spent['completion_tokens']}"
    )


def fair(examples: Sequence[Row], pool: Sequence[Row], test: Sequence[Row], alike: Any) -> None:
    """Fails unless the examples are different rows of the pool, none of them a test row, all desks about as often."""
    known = {(alike(row["message"]), row["desk"]) for row in pool}
    for row in examples:
        assert isinstance(row, dict), "an example is to be an object with message and desk"
        assert (alike(str(row.get("message"))), row.get("desk")) in known, (
            f"the example {str(row)[:120]} is not in the pool, or has another desk there"
        )
    texts = Counter(alike(row["message"]) for row in examples)
    assert max(texts.values()) == 1, "an example is there twice"
    leaked = texts.keys() & {alike(row["message"]) for row in test}
    assert not leaked, f"{len(leaked)} of {len(examples)} examples are rows of the test set"
    often = Counter(dict.fromkeys({row["desk"] for row in pool}, 0))
    often.update(row["desk"] for row in examples)
    assert max(often.values()) - min(often.values()) <= 1, (
        f"the desks have {sorted(often.values())} examples; wanted about as many for each"
    )


def measured(workspace: Any, part: str) -> dict[str, Row]:
    """A part of out/results.json."""
    results = workspace.read_json("out/results.json")
    table = results.get(part) if isinstance(results, dict) else None
    assert isinstance(table, dict), f"out/results.json has no {part}"
    return table


def read_answers(workspace: Any) -> dict[str, Any]:
    given = yaml.safe_load(workspace.read_text("answers.yaml"))
    assert isinstance(given, dict), "answers.yaml has lost its form; `labctl reset` brings it back"
    return given


def agree(answers: Mapping[str, Any], part: str, wanted: Mapping[str, float], tolerance: float = 0.03) -> None:
    """Fails unless each answer is the number that follows from the learner's own table."""
    given = answers.get(part)
    values = {key: given.get(key) if isinstance(given, dict) else None for key in wanted}
    unanswered = [f"{part}.{key}" for key, value in values.items() if is_open(value)]
    assert not unanswered, f"not answered yet in answers.yaml: {', '.join(unanswered)}"
    for key, value in values.items():
        number = to_number(value)
        assert number is not None, f"{part}.{key} in answers.yaml is {str(value)[:40]!r}; wanted a number"
        assert abs(number - wanted[key]) <= tolerance * abs(wanted[key]), (
            f"{part}.{key} in answers.yaml is {number:g}, which does not follow from your out/results.json"
        )


def workspace_rows(workspace: Any, path: str) -> list[Any]:
    import json

    try:
        return [json.loads(line) for line in workspace.read_text(path).splitlines()]
    except ValueError:
        raise AssertionError(f"{path} is no JSONL; `python get_data.py` writes it again") from None


def wrong(found: Row, rows: Sequence[Row]) -> str:
    """One wrong reply."""
    pairs = zip(found["replies"], rows, strict=True)
    return next((reply["text"][:80] for reply, row in pairs if reply["text"] != row["desk"]), "")
