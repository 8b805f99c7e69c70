"""Step 1: the learner's mathematics on fresh numbers, and what was predicted and drawn with it."""

from __future__ import annotations

import math
import random
from typing import Any

from conftest import same, shape

DICE = random.Random()
TEMPERATURES = {"0.5": "entropy_half", "1.0": "entropy_one", "2.0": "entropy_two"}
DRAWS = 20_000
GOOD_STEPS = (1e-5, 1e-6, 1e-7)


def matrix(rows: int, columns: int) -> list[list[float]]:
    return [[DICE.gauss(0, 1) for _ in range(columns)] for _ in range(rows)]


def product(a: Any, b: Any) -> list[list[float]]:
    return [[sum(x * y for x, y in zip(row, column, strict=True)) for column in zip(*b, strict=True)] for row in a]


def softmax(logits: Any, temperature: float = 1.0) -> list[float]:
    powers = [math.exp((logit - max(logits)) / temperature) for logit in logits]
    return [power / sum(powers) for power in powers]


def entropy(p: Any) -> float:
    return -sum(x * math.log(x) for x in p if x > 0)


def divergence(p: Any, q: Any) -> float:
    return sum(x * math.log(x / y) for x, y in zip(p, q, strict=True) if x > 0)


def loss(w1: Any, w2: Any, x: Any, target: int) -> float:
    hidden = [[math.tanh(value)] for (value,) in product(w1, [[value] for value in x])]
    return -math.log(softmax([value for (value,) in product(w2, hidden)])[target])


def numerical(w1: Any, w2: Any, x: Any, target: int, which: int) -> list[list[float]]:
    """The derivative by each number of one of the two matrices, from two values a little apart."""
    found = []
    for i, row in enumerate((w1, w2)[which]):
        found.append([])
        for j, value in enumerate(row):
            ends = []
            for moved in (value + 1e-5, value - 1e-5):
                both = [[list(part) for part in w] for w in (w1, w2)]
                both[which][i][j] = moved
                ends.append(loss(*both, x, target))
            found[-1].append((ends[0] - ends[1]) / 2e-5)
    return found


def test_mathematics(drive: Any) -> None:
    a, b = matrix(2, 4), matrix(4, 3)
    logits, steep = matrix(1, 6)[0], [2000.0, 0.0, -1000.0]
    p, q = softmax(matrix(1, 5)[0]), softmax(matrix(1, 5)[0])
    holes, point = [0.5, 0.5, 0.0], [0.9, 0.1, 0.0]
    w1, w2, x, target = matrix(4, 3), matrix(5, 4), matrix(1, 3)[0], DICE.randrange(5)
    cubic, at = matrix(1, 3)[0], DICE.uniform(-2, 2)
    cases = [
        {"call": "matmul", "a": a, "b": b},
        {"call": "softmax", "logits": logits, "temperature": 0.7},
        {"call": "softmax", "logits": steep, "temperature": 1.0},
        {"call": "entropy", "p": p},
        {"call": "entropy", "p": holes},
        {"call": "cross_entropy", "logits": logits, "target": 2},
        {"call": "cross_entropy", "logits": steep, "target": 1},
        {"call": "kl", "p": p, "q": q},
        {"call": "kl", "p": holes, "q": point},
        {"call": "gradients", "w1": w1, "w2": w2, "x": x, "target": target},
        {"call": "slope", "cubic": cubic, "x": at, "h": 0.1},
    ]
    found = drive([{"module": "maths", **case} for case in cases])
    exact = 3 * cubic[0] * at**2 + 2 * cubic[1] * at + cubic[2]
    wanted = [
        product(a, b),
        softmax(logits, 0.7),
        softmax(steep),
        entropy(p),
        math.log(2),
        -math.log(softmax(logits)[2]),
        2000.0,
        divergence(p, q),
        divergence(holes, point),
        [numerical(w1, w2, x, target, which) for which in (0, 1)],
        exact + cubic[0] * 0.01,  # two sides: of a cubic the error is a h²
    ]
    for case, value, right in zip(cases, found, wanted, strict=True):
        shown = (
            {key: given for key, given in case.items() if key != "call"}
            if case["call"] != "gradients"
            else "your W1, W2, x"
        )
        assert same(value, right, 1e-6), f"{case['call']} of {str(shown)[:160]} is {str(value)[:120]}: wrong"


def test_sampling(drive: Any, session: Any, workspace: Any, answered: Any) -> None:
    counts = workspace.read_json("out/samples.json")
    for temperature in TEMPERATURES:
        drawn = counts.get(temperature) if isinstance(counts, dict) else None
        assert shape(drawn) == [12], f"out/samples.json has no twelve counts for temperature {temperature}"
        fits(
            drawn, softmax(session.logits(), float(temperature)), DRAWS, f"out/samples.json, temperature {temperature}"
        )
    logits = [DICE.gauss(0, 1.5) for _ in range(8)]
    temperatures = [0.6, 1.7]
    asked = [
        {"call": "sample", "logits": logits, "temperature": t, "draws": 5000, "seed": DICE.randrange(10**9)}
        for t in temperatures
    ]
    for temperature, drawn in zip(temperatures, drive(asked), strict=True):
        fits(drawn, softmax(logits, temperature), 5000, f"sample of 8 new logits at temperature {temperature}")
    for temperature, name in TEMPERATURES.items():
        right = entropy(softmax(session.logits(), float(temperature)))
        assert same(answered(f"maths.{name}"), right, 0.005), f"maths.{name} in answers.yaml is not that of your logits"


def fits(counts: Any, p: list[float], draws: int, what: str) -> None:
    """Neither too far from what chance gives nor too near: Pearson's chi², rare tokens taken together."""
    assert shape(counts) == [len(p)], f"{what}: wanted {len(p)} counts"
    assert all(isinstance(count, int) and count >= 0 for count in counts), f"{what}: counts are whole numbers"
    assert sum(counts) == draws, f"{what}: the counts add up to {sum(counts)}, not {draws}"
    often = [(count, share * draws) for count, share in zip(counts, p, strict=True) if share * draws >= 5]
    rest = (draws - sum(count for count, _ in often), draws - sum(expected for _, expected in often))
    cells = [*often, rest] if rest[1] > 1 else often
    chi2, freedom = sum((count - expected) ** 2 / expected for count, expected in cells), len(cells) - 1
    assert chi2 <= freedom + 8 * math.sqrt(2 * freedom) + 5, f"{what}: these counts do not come from its softmax"
    assert chi2 >= freedom * 0.02, (
        f"{what}: nearer to the expected counts than chance ever comes; draw, do not calculate"
    )


def test_predictions(session: Any, answered: Any) -> None:
    p, q = session.distributions()
    for name, pair in {"maths.kl_pq": (p, q), "maths.kl_qp": (q, p)}.items():
        assert same(answered(name) / divergence(*pair), 1.0, 0.005), (
            f"{name} in answers.yaml is not that of your p and q"
        )
    w1, w2, x, target = session.network()
    by_hand = derivative(w1, w2, x, target)
    errors = {10.0**-n: abs(numerical_at(w1, w2, x, target, 10.0**-n) - by_hand) for n in range(1, 12)}
    best = max(min(errors.values()), 1e-13)  # below that it is luck
    good = [h for h, error in errors.items() if error <= 100 * best] + list(GOOD_STEPS)
    told = answered("maths.best_h")
    assert any(same(told / h, 1.0, 0.01) for h in good), (
        f"maths.best_h in answers.yaml is {told:g}; see what maths.py prints"
    )


def derivative(w1: Any, w2: Any, x: Any, target: int) -> float:
    """The derivative by the first number of w1, by the chain rule."""
    hidden = [math.tanh(value) for (value,) in product(w1, [[value] for value in x])]
    shares = softmax([value for (value,) in product(w2, [[value] for value in hidden])])
    by_hidden = sum(
        row[0] * (share - (token == target)) for token, (row, share) in enumerate(zip(w2, shares, strict=True))
    )
    return by_hidden * (1 - hidden[0] ** 2) * x[0]


def numerical_at(w1: Any, w2: Any, x: Any, target: int, h: float) -> float:
    ends = [loss([[w1[0][0] + moved, *w1[0][1:]], *w1[1:]], w2, x, target) for moved in (h, -h)]
    return (ends[0] - ends[1]) / (2 * h)
