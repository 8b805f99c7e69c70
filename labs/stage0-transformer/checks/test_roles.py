"""Step 2: what queries, keys and values are for."""

from __future__ import annotations

import math
import random
from typing import Any

import reference
from conftest import same, shape

SIZES = {"W_q": [20, 8], "W_k": [20, 8], "W_v": [20, 4]}


def test_three_roles(session: Any, recorded: Any) -> None:
    record = recorded("roles")
    for name, size in SIZES.items():
        assert shape(record.get(name)) == size, f"out/roles.json: {name} has the shape {shape(record.get(name))}"
    worst = 0.0
    for _ in range(20):
        sentence = session.sentence(random.Random())
        q, k, v = (reference.product(sentence.words, record[name]) for name in SIZES)
        told, weights = reference.attention(q, k, v)
        sharpest = min(max(row) for row in weights)
        worst = max(
            worst, *(abs(a - b) for row in zip(told, sentence.wanted, strict=True) for a, b in zip(*row, strict=True))
        )
    assert worst <= 0.05, (
        f"on 20 new sentences a word was told a number that is off by {worst:.2f} (at most 0.05 is wanted); "
        f"in the last one the surest word gave {max(max(row) for row in weights):.2f} of its attention to one other, "
        f"the least sure one {sharpest:.2f}"
    )


def test_tied_fails(session: Any, recorded: Any) -> None:
    record = recorded("tied")
    tokens, follows = session.cycle()
    for name in ("untied", "tied"):
        run = record.get(name) or {}
        for key in ("W_q", "W_k"):
            assert shape(run.get(key)) == [16, 16], f"out/tied.json, {name}: {key} is to have 16 rows and 16 columns"
        scores = scored(tokens, run["W_q"], run["W_k"])
        loss, skew = mean_loss(scores, follows), asymmetry(scores)
        assert same(run.get("asymmetry"), skew, 0.01), f"{name}: asymmetry is {run.get('asymmetry')}, not that of its W"
        assert same(run.get("loss"), loss, 0.05), f"{name}: the loss is {run.get('loss')}; its matrices give {loss:.4f}"
        limit = 0.05 if name == "untied" else 0.75
        assert loss <= limit, f"{name}: the loss is {loss:.3f}; trained to the end it is below {limit}"
    assert record["tied"]["W_q"] == record["tied"]["W_k"], "tied: W_q and W_k are to be one matrix"


def scored(tokens: Any, w_q: Any, w_k: Any) -> list[list[float]]:
    scores = reference.product(reference.product(tokens, w_q), reference.transposed(reference.product(tokens, w_k)))
    return [[score / math.sqrt(16) for score in row] for row in scores]


def mean_loss(scores: list[list[float]], follows: list[int]) -> float:
    """Cross-entropy of each token's softmax over the others with the token that it must look at."""
    losses = []
    for token, row in enumerate(scores):
        others = {other: score for other, score in enumerate(row) if other != token}
        top = max(others.values())
        losses.append(top + math.log(sum(math.exp(score - top) for score in others.values())) - row[follows[token]])
    return sum(losses) / len(losses)


def asymmetry(scores: list[list[float]]) -> float:
    pairs = [
        (a, b)
        for row, column in zip(scores, reference.transposed(scores), strict=True)
        for a, b in zip(row, column, strict=True)
    ]
    return math.sqrt(sum((a - b) ** 2 for a, b in pairs) / sum(a * a for a, _ in pairs))
