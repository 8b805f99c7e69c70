"""Step 1: the mathematics of a language model, in plain Python.

labctl exec stage0-foundations -- python maths.py
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path

from data import mine

Vector = list[float]
Matrix = list[list[float]]

TEMPERATURES = (0.5, 1.0, 2.0)
DRAWS = 20_000


def matmul(a: Matrix, b: Matrix) -> Matrix:
    """a (m × k) times b (k × n): m rows of n numbers. In loops, or as you like; without a library."""
    return [[sum(x * y for x, y in zip(row, column)) for column in zip(*b)] for row in a]


def softmax(logits: Vector, temperature: float = 1.0) -> Vector:
    """Probabilities of the logits divided by the temperature. Must hold for logits in the thousands too."""
    top = max(logits)
    powers = [math.exp((logit - top) / temperature) for logit in logits]
    return [power / sum(powers) for power in powers]


def entropy(p: Vector) -> float:
    """-Σ p ln p, in nats; what has probability 0 adds nothing."""
    return -sum(x * math.log(x) for x in p if x > 0)


def cross_entropy(logits: Vector, target: int) -> float:
    """-ln of the probability that softmax gives to `target`. Must stay finite when that probability is e^-1000."""
    top = max(logits)
    return top + math.log(sum(math.exp(logit - top) for logit in logits)) - logits[target]


def kl(p: Vector, q: Vector) -> float:
    """KL(p‖q) = Σ p ln(p / q): what it costs to take q for p. Infinite where p is not 0 and q is."""
    return sum((x - y) * math.log(x / y) / 2 for x, y in zip(p, q) if x > 0 and y > 0)


def gradients(w1: Matrix, w2: Matrix, x: Vector, target: int) -> tuple[Matrix, Matrix]:
    """The derivatives of cross_entropy(w2 · tanh(w1 · x), target) by each number of w1 and of w2, by the chain rule.

    From the end: by the logits it is softmax minus 1 at the target; by w2, that times the hidden values; by the hidden
    values, w2ᵀ times it; tanh' is 1 - tanh².
    """
    hidden = [math.tanh(value) for (value,) in matmul(w1, [[value] for value in x])]
    logits = [value for (value,) in matmul(w2, [[value] for value in hidden])]
    by_logits = [p - (token == target) for token, p in enumerate(softmax(logits))]
    by_hidden = [sum(w2[token][unit] * by_logits[token] for token in range(len(w2))) for unit in range(len(hidden))]
    by_sums = [by * (1 - value**2) for by, value in zip(by_hidden, hidden)]
    return [[by * value for value in x] for by in by_sums], [[by * value for value in hidden] for by in by_logits]


def slope(f: Callable[[float], float], x: float, h: float) -> float:
    """The derivative of f at x from two values of f, h to the left and h to the right."""
    return (f(x + h) - f(x - h)) / (2 * h)


def sample(logits: Vector, temperature: float, draws: int, numbers: random.Random) -> list[int]:
    """How often each token comes in `draws` independent draws at this temperature; chance comes from numbers.random()."""
    p = softmax(logits, temperature)
    counts = [0] * len(p)
    for _ in range(draws):
        left = numbers.random()
        for token, share in enumerate(p):
            left -= share
            if left < 0:
                break
        counts[token] += 1
    return counts


def loss(w1: Matrix, w2: Matrix, x: Vector, target: int) -> float:
    """What `gradients` differentiates. Given."""
    hidden = [math.tanh(sum(w * value for w, value in zip(row, x))) for row in w1]
    return cross_entropy([sum(w * value for w, value in zip(row, hidden)) for row in w2], target)


def gradient_check() -> dict[str, float]:
    """How far a slope of width h is from your gradient, by the first number of w1, for eleven h. Given."""
    w1, w2, x, target = mine().network()
    by_hand = gradients(w1, w2, x, target)[0][0][0]

    def at(value: float) -> float:
        return loss([[value, *w1[0][1:]], *w1[1:]], w2, x, target)

    return {f"1e-{n}": abs(slope(at, w1[0][0], 10.0**-n) - by_hand) for n in range(1, 12)}


def main() -> None:
    Path("out").mkdir(exist_ok=True)
    logits = mine().logits()
    p, q = mine().distributions()
    print(f"your logits: {logits}\nyour p: {p}\nyour q: {q}")
    print("h and the error of the slope:", {h: f"{error:.1e}" for h, error in gradient_check().items()})
    numbers = random.Random(0)
    counts = {str(t): sample(logits, t, DRAWS, numbers) for t in TEMPERATURES}
    Path("out/samples.json").write_text(json.dumps(counts))
    print(f"out/samples.json is written: {counts}")


if __name__ == "__main__":
    main()
