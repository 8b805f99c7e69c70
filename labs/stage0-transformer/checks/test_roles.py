"""Step 2: what queries, keys and values are for."""

from __future__ import annotations

import math
import random
from typing import Any

import reference
from conftest import about, same, shape

SIZES = {"W_q": [20, 8], "W_k": [20, 8], "W_v": [20, 4]}


def test_three_roles(session: Any, recorded: Any, in_file: Any) -> None:
    record = recorded("roles")
    for name, size in SIZES.items():
        given = shape(record.get(name))
        assert given == size, f"{in_file('roles')}{name} has the shape {given}, wanted {size}"
        assert any(map(any, record[name])), f"{in_file('roles')}{name} is all zeros"
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
        f"{in_file('roles')}on 20 new sentences a word was told a number that is off by {worst:.2f} (at most 0.05 is wanted); "
        f"in the last one the surest word gave {max(max(row) for row in weights):.2f} of its attention to one other, "
        f"the least sure one {sharpest:.2f}"
    )


def test_tied_fails(session: Any, recorded: Any, in_file: Any) -> None:
    record = recorded("tied")
    tokens, follows = session.cycle()
    for name in ("untied", "tied"):
        run = record.get(name) or {}
        for key in ("W_q", "W_k"):
            given = shape(run.get(key))
            assert given == [16, 16], f"{in_file('tied')}{name}: {key} has the shape {given}, wanted [16, 16]"
        scores = scored(tokens, run["W_q"], run["W_k"])
        loss, skew = mean_loss(scores, follows), asymmetry(scores)
        assert same(run.get("asymmetry"), skew, 0.01), (
            f"{in_file('tied')}{name}: asymmetry is {run.get('asymmetry')}; S = scores() with W_q and W_k of that file, "
            f"nothing masked, has {about(skew)}"
        )
        assert same(run.get("loss"), loss, 0.05), (
            f"{in_file('tied')}{name}: loss is {run.get('loss')}; W_q and W_k of that file have {loss:.4f}"
        )
        limit = 0.05 if name == "untied" else 0.75
        assert loss <= limit, f"{in_file('tied')}{name}: the loss is {loss:.3f}, wanted {limit} or less: train longer"
    assert record["tied"]["W_q"] == record["tied"]["W_k"], (
        f"{in_file('tied')}tied: W_q and W_k differ, wanted one matrix in both places"
    )


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
