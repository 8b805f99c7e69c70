"""Step 1: softmax, mask and attention on fresh input; the effect of the scale; somebody else's mistakes."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import reference
from conftest import same, shape

FLAWS = ["right", "masked-after-softmax", "softmax-over-queries", "divided-by-d", "not-scaled"]
DICE = random.Random()


def matrix(rows: int, columns: int, std: float = 1.0) -> list[list[float]]:
    return [[DICE.gauss(0, std) for _ in range(columns)] for _ in range(rows)]


def test_attention(drive: Any) -> None:
    x, large = matrix(3, 4, 3), [[1000.0, 999.0], [-1000.0, -1002.0]]
    d = DICE.choice([6, 12, 20])
    q, k, v = ([matrix(rows, width) for _ in range(2)] for rows, width in ((4, d), (6, d), (6, 5)))
    seen = [[True] + [DICE.random() < 0.5 for _ in range(5)] for _ in range(4)]
    tokens, causal = matrix(5, d), [[j <= i for j in range(5)] for i in range(5)]
    later = [*tokens[:-1], matrix(1, d)[0]]
    cases = [
        {"call": "softmax", "x": x, "dim": -1},
        {"call": "softmax", "x": x, "dim": 0},
        {"call": "softmax", "x": large, "dim": 1},
        {"call": "causal_mask", "n": 5},
        {"call": "attention", "q": q, "k": k, "v": v},
        {"call": "attention", "q": q[0], "k": k[0], "v": v[0], "mask": seen},
        *({"call": "attention", "q": a, "k": a, "v": a, "mask": causal} for a in (tokens, later)),
    ]
    by_row, by_column, at_large, mask, batch, masked, one, other = drive(cases)
    columns = reference.transposed([reference.softmax(column) for column in reference.transposed(x)])
    assert same(by_row, [reference.softmax(row) for row in x]), "softmax(x, -1) is not e^x / Σ e^x of each row"
    assert same(by_column, columns), "softmax(x, 0) is not e^x / Σ e^x of each column"
    assert same(at_large, [reference.softmax(row) for row in large]), f"softmax of {large} is {at_large}"
    assert mask == causal, "causal_mask(5): row i is to be True up to column i"
    pairs = all(isinstance(found, list) and len(found) == 2 for found in (batch, masked, one, other))
    assert pairs, "attention is to return the output and the weights"
    assert shape(batch[0]) == [2, 4, 5], f"4 queries, 6 keys, values of 5: the output's shape is {shape(batch[0])}"
    assert all(same(sum(row), 1.0) for rows in batch[1] for row in rows), "the weights of a query do not sum to 1"
    assert all(same(sum(row), 1.0) for row in masked[1]), "with a mask the weights of a query do not sum to 1"
    assert same(one[0][:4], other[0][:4]), "with a causal mask, a later token changed what earlier ones get"
    wanted = [reference.attention(*sequence) for sequence in zip(q, k, v, strict=True)]
    assert same(batch[1], [weights for _, weights in wanted]), "the weights are not softmax(q kᵀ / √d)"
    assert same(batch[0], [output for output, _ in wanted]), "the output is not weights @ v"
    assert same(masked, reference.attention(q[0], k[0], v[0], seen)), "with a mask, output or weights are wrong"


def test_scale_is_measured(session: Any, recorded: Any, answered: Any) -> None:
    record = recorded("score")
    for width in (16, 64, 256, 1024):
        queries, keys = session.queries_and_keys(width)
        found = record.get(str(width)) or {}
        scores = reference.product(queries, reference.transposed(keys))
        flat = list(itertools.chain.from_iterable(scores))
        mean = sum(flat) / len(flat)
        wanted = {
            "variance": sum((score - mean) ** 2 for score in flat) / len(flat),
            "entropy_raw": mean_entropy(scores, 1),
            "entropy_scaled": mean_entropy(scores, math.sqrt(width)),
        }
        for name, value in wanted.items():
            assert same(found.get(name), value, 0.005), (
                f"out/score.json, width {width}: {name} is {found.get(name)}; your data say otherwise"
            )
    for key, name in {"score.keys_raw": "entropy_raw", "score.keys_scaled": "entropy_scaled"}.items():
        assert same(answered(key), math.exp(wanted[name]), 0.02), f"{key} in answers.yaml: not e^{name} at width 1024"


def mean_entropy(scores: list[list[float]], divisor: float) -> float:
    return sum(reference.entropy(reference.softmax([score / divisor for score in row])) for row in scores) / len(scores)


def test_bugs_are_told_apart(drive: Any) -> None:
    kinds = [*FLAWS, *FLAWS, "right//renormed"]
    DICE.shuffle(kinds)
    (told,) = drive([{"call": "diagnose", "kinds": kinds}])
    wanted = [kind.partition("/")[0] for kind in kinds]
    wrong = sum(a != b for a, b in zip(told, wanted, strict=True))
    assert not wrong, f"diagnose is wrong on {wrong} of {len(kinds)} programs that it had not seen"
