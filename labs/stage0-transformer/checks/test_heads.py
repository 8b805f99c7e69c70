"""Step 3: several heads, their arithmetic and their use."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import reference
from conftest import difference, same, shape

DICE = random.Random()
PLACES, HALF, WIDTH = 6, 6, 12


def matrix(rows: int, columns: int, std: float = 1.0) -> list[list[float]]:
    return [[DICE.gauss(0, std) for _ in range(columns)] for _ in range(rows)]


def weights(width: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name in ("W_q", "W_k", "W_v", "W_o"):
        made |= {f"{name}.weight": matrix(width, width, 0.5), f"{name}.bias": matrix(1, width, 0.3)[0]}
    return made


def test_multi_head(drive: Any) -> None:
    heads = DICE.choice([2, 3, 4])
    width, made = heads * 4, weights(heads * 4)
    x = [matrix(3, width) for _ in range(2)]
    parts = [[[row[head * 4 : head * 4 + 4] for row in rows] for head in range(heads)] for rows in x]
    q, k, v = ([matrix(rows, width) for _ in range(2)] for rows in (3, 5, 5))
    causal = [[j <= i for j in range(3)] for i in range(3)]
    attend = {"call": "MultiHeadAttention", "width": width, "heads": heads, "weights": made}
    split, merged, itself, masked, across = drive(
        [
            {"call": "split_heads", "x": x, "heads": heads},
            {"call": "merge_heads", "x": parts},
            {**attend, "inputs": [x, x, x]},
            {**attend, "inputs": [x, x, x], "mask": causal},
            {**attend, "inputs": [q, k, v]},
        ]
    )
    assert shape(split) == [2, heads, 3, 4], (
        f"split_heads: the shape is {shape(split)}, wanted [batch, heads, n, width / heads], here {[2, heads, 3, 4]}"
    )
    off = difference(split, parts)
    assert not off, f"split_heads: head h is to get the h-th part of each row: {off}"
    off = difference(merged, x)
    assert not off, f"merge_heads(split_heads(x)) is not x: {off}"
    for what, value, inputs, mask in (
        ("a sequence with itself, without a mask", itself, (x, x, x), None),
        ("a sequence with itself, with a causal mask (it is right without one)", masked, (x, x, x), causal),
        ("3 queries with 5 keys and values", across, (q, k, v), None),
    ):
        wanted = [reference.multi_head(sequence, made, heads, mask) for sequence in zip(*inputs, strict=True)]
        off = difference(value, wanted)
        assert not off, f"MultiHeadAttention, {heads} heads, of {what}: {off}"


def test_one_head_is_not_enough(session: Any, recorded: Any, answered: Any, in_file: Any) -> None:
    task, record = session.two_places(), recorded("heads")
    best = task.second_std**2 * HALF / WIDTH
    for count, limit in ((1, 1.15 * best), (2, 0.2 * best)):
        run = record.get(str(count)) or {}
        loss = expected_loss(task, run.get("weights") or {}, count)
        assert same(run.get("loss"), loss, 0.15), (
            f"{in_file('heads')}heads {count}: loss is {run.get('loss')}; the weights of that file have {loss:.3f}"
        )
        assert loss <= limit, (
            f"{in_file('heads')}heads {count}: its weights have an error of {loss:.3f} over all contents, more than they "
            "are to have: train to the end, on a new batch at each step"
        )
    answered("heads.one_head_best", best, 0.02, "the least error that one head can reach")
    width, _ = session.sizes()
    for key, which in (("parameters", "your width and heads"), ("parameters_one_head", "your width with one head")):
        answered(f"heads.{key}", 4 * (width * width + width), 0, f"the parameters of a MultiHeadAttention of {which}")


def expected_loss(task: Any, made: Mapping[str, Any], heads: int) -> float:
    """The mean squared error over all contents, exactly: what each position's outputs owe to each number that is held."""
    for name in ("W_q", "W_k", "W_v", "W_o"):
        size = shape(made.get(f"{name}.weight"))
        assert size == [WIDTH, WIDTH], f"out/heads.json, {heads} heads: {name}.weight has the shape {size}"
    where = [[2.0 * (place == column) for column in range(WIDTH)] for place in range(PLACES)]

    def told(what: list[list[float]]) -> list[list[float]]:
        return reference.multi_head([where, where, what], made, heads)

    nothing = [[0.0] * WIDTH for _ in range(PLACES)]
    constant = told(nothing)
    error = sum(value**2 for row in constant for value in row)
    for place in range(PLACES):
        for column in range(WIDTH):
            what = [list(row) for row in nothing]
            what[place][column] = 1.0
            error += task_std(task, column) ** 2 * share(task, told(what), constant, place, column)
    return error / (PLACES * WIDTH)


def share(task: Any, told: Any, constant: Any, place: int, column: int) -> float:
    """Squared error that a number of variance 1, held by `place` in `column`, adds to all outputs."""
    needs = task.first if column < HALF else task.second
    error = 0.0
    for row, (values, base) in enumerate(zip(told, constant, strict=True)):
        for index, (value, shift) in enumerate(zip(values, base, strict=True)):
            wanted = 1.0 if index == column and needs[row] == place else 0.0
            error += (value - shift - wanted) ** 2
    return error


def task_std(task: Any, column: int) -> float:
    return task.first_std if column < HALF else task.second_std
