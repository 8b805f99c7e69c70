"""What the lab's functions must return, in plain Python: rows of numbers in, rows of numbers out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from operator import mul
from typing import Any

Matrix = list[list[float]]
Mask = Sequence[Sequence[bool]]


def softmax(row: Sequence[float]) -> list[float]:
    """e^x over its sum, for one row."""
    top = max(row)
    powers = [math.exp(x - top) for x in row]
    return [power / sum(powers) for power in powers]


def entropy(row: Sequence[float]) -> float:
    """In nats."""
    return -sum(p * math.log(p) for p in row if p > 0)


def product(a: Matrix, b: Matrix) -> Matrix:
    """a @ b."""
    columns = list(zip(*b, strict=True))
    return [[sum(map(mul, row, column)) for column in columns] for row in a]


def transposed(a: Matrix) -> Matrix:
    return [list(column) for column in zip(*a, strict=True)]


def attention(q: Matrix, k: Matrix, v: Matrix, mask: Mask | None = None) -> tuple[Matrix, Matrix]:
    """Output and weights; a mask's False is not looked at."""
    scale = math.sqrt(len(q[0]))
    scores = [[score / scale for score in row] for row in product(q, transposed(k))]
    if mask is not None:
        scores = [
            [score if seen else -math.inf for score, seen in zip(row, sees, strict=True)]
            for row, sees in zip(scores, mask, strict=True)
        ]
    weights = [softmax(row) for row in scores]
    return product(weights, v), weights


def linear(x: Matrix, weights: Mapping[str, Any], name: str) -> Matrix:
    """torch's Linear: x @ weightᵀ + bias."""
    bias = weights[f"{name}.bias"]
    return [
        [value + shift for value, shift in zip(row, bias, strict=True)]
        for row in product(x, transposed(weights[f"{name}.weight"]))
    ]


def multi_head(
    inputs: Sequence[Matrix], weights: Mapping[str, Any], heads: int, mask: Mask | None = None, prefix: str = ""
) -> Matrix:
    """One sequence through a MultiHeadAttention; `inputs` are Q, K and V."""
    q, k, v = (linear(x, weights, prefix + name) for x, name in zip(inputs, ("W_q", "W_k", "W_v"), strict=True))
    d = len(q[0]) // heads
    parts = [slice(head * d, (head + 1) * d) for head in range(heads)]
    outputs = [attention(*([row[part] for row in x] for x in (q, k, v)), mask)[0] for part in parts]
    merged = [[number for output in outputs for number in output[row]] for row in range(len(q))]
    return linear(merged, weights, f"{prefix}W_o")


def positions(n: int, width: int) -> Matrix:
    """The sinusoidal encoding of n positions."""
    angles = [[t / 10000 ** (i / width) for i in range(0, width, 2)] for t in range(n)]
    return [[turn for angle in row for turn in (math.sin(angle), math.cos(angle))] for row in angles]


def layer_norm(x: Matrix, gain: Sequence[float], bias: Sequence[float], epsilon: float = 1e-5) -> Matrix:
    """Each row with mean 0 and variance 1, then scaled and shifted."""
    normed = []
    for row in x:
        mean = sum(row) / len(row)
        root = math.sqrt(sum((value - mean) ** 2 for value in row) / len(row) + epsilon)
        normed.append([(value - mean) / root * g + b for value, g, b in zip(row, gain, bias, strict=True)])
    return normed


def block(
    x: Matrix, weights: Mapping[str, Any], heads: int, *, norm: bool, residual: bool, mask: Mask | None = None
) -> Matrix:
    """One sequence through a pre-norm block."""
    y = layer_norm(x, weights["norm1.gain"], weights["norm1.bias"]) if norm else x
    x = joined(x, multi_head([y, y, y], weights, heads, mask, "attention."), residual)
    y = layer_norm(x, weights["norm2.gain"], weights["norm2.bias"]) if norm else x
    inner = [[gelu(value) for value in row] for row in linear(y, weights, "up")]
    return joined(x, linear(inner, weights, "down"), residual)


def joined(x: Matrix, result: Matrix, residual: bool) -> Matrix:
    if not residual:
        return result
    return [[a + b for a, b in zip(*rows, strict=True)] for rows in zip(x, result, strict=True)]


def gelu(x: float) -> float:
    return x * (1 + math.erf(x / math.sqrt(2))) / 2
