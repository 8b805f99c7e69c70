"""Step 1: softmax, mask and attention on fresh input; the effect of the scale; somebody else's mistakes."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import reference
from conftest import about, difference, same, shape

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
    *softmaxes, (dtype, mask), batch, masked, one, other = drive(cases)
    require_softmax(x, large, softmaxes)
    assert dtype == "bool", f"causal_mask(5) has dtype {dtype}, wanted bool"
    assert mask == causal, f"causal_mask(5) is {mask}; row i is to be True up to column i"
    pairs = all(isinstance(found, list) and len(found) == 2 for found in (batch, masked, one, other))
    assert pairs, "attention is to return the output and the weights"
    wanted = [reference.attention(*sequence) for sequence in zip(q, k, v, strict=True)]
    require_attention("without a mask", batch, [list(parts) for parts in zip(*wanted, strict=True)])
    assert same(one[0][:4], other[0][:4]), "with a causal mask, a later token changed what earlier ones get"
    require_attention("with a mask", masked, reference.attention(q[0], k[0], v[0], seen))


def require_attention(how: str, found: Any, wanted: Any) -> None:
    """Shapes first, then sums, then numbers: the first complaint is the one that says most."""
    for what, value, right in zip(("output", "weights"), found, wanted, strict=True):
        assert shape(value) == shape(right), f"attention {how}: {what} of shape {shape(value)}, wanted {shape(right)}"
    rows = found[1] if how == "with a mask" else [row for sequence in found[1] for row in sequence]
    total = max(map(sum, rows), key=lambda total: abs(total - 1))
    assert same(total, 1.0), f"attention {how}: the weights of a query sum to {total:.4g}, wanted 1"
    off = difference(found[1], wanted[1])
    assert not off, f"attention {how}: the weights are not softmax(q kᵀ / √d): {off}"
    off = difference(found[0], wanted[0])
    assert not off, f"attention {how}: the output is not weights @ v: {off}"


def require_softmax(x: Any, large: Any, found: Any) -> None:
    columns = reference.transposed([reference.softmax(column) for column in reference.transposed(x)])
    for what, value, wanted in zip(
        (
            "softmax(x, -1), e^x / Σ e^x of each row",
            "softmax(x, 0), e^x / Σ e^x of each column",
            f"softmax({large}, 1)",
        ),
        found,
        ([reference.softmax(row) for row in x], columns, [reference.softmax(row) for row in large]),
        strict=True,
    ):
        off = difference(value, wanted)
        assert not off, f"{what}: {off}"


def test_scale_is_measured(session: Any, recorded: Any, answered: Any, in_file: Any) -> None:
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
                f"{in_file('score')}width {width}: {name} is {found.get(name)}, wanted {about(value)}"
            )
    for key, name in {"score.keys_raw": "entropy_raw", "score.keys_scaled": "entropy_scaled"}.items():
        answered(key, math.exp(wanted[name]), 0.02, f"e^{name} at width 1024")


def mean_entropy(scores: list[list[float]], divisor: float) -> float:
    return sum(reference.entropy(reference.softmax([score / divisor for score in row])) for row in scores) / len(scores)


def test_bugs_are_told_apart(drive: Any) -> None:
    kinds = [*FLAWS, *FLAWS, "right//renormed"]
    DICE.shuffle(kinds)
    told = drive([{"call": "diagnose", "kind": kind, "number": number} for number, kind in enumerate(kinds)])
    wrong = {
        f"{str(answer)[:40]!r} of one that is {kind.partition('/')[0]}"
        + (", in an unusual way" if kind.endswith("renormed") else "")
        for kind, answer in zip(kinds, told, strict=True)
        if answer != kind.partition("/")[0]
    }
    assert not wrong, f"of {len(kinds)} programs that it had not seen, diagnose says {'; '.join(sorted(wrong))}"
