"""Tell from outside what is wrong with somebody's attention.

labctl exec stage0-transformer -- python diagnose.py
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import toys
from suspects import SUSPECTS
from torch import Tensor

Attention = Callable[[Tensor, Tensor, Tensor, Tensor | None], tuple[Tensor, Tensor]]

RIGHT = "right"
MASKED_TOO_LATE = "masked-after-softmax"
WRONG_AXIS = "softmax-over-queries"
WRONG_DIVISOR = "divided-by-d"
NOT_SCALED = "not-scaled"


def diagnose(attention: Attention) -> str:
    """One of the five names above, found out by calling `attention(q, k, v, mask)` with inputs of your choice.

    It returns (output, weights). Do not look into its code: there may be none to look into.
    """
    d = 16
    q, k = torch.randn(5, d), torch.randn(7, d)
    rows = attention(q, k, torch.eye(7), None)[1].sum(dim=-1)
    if not torch.allclose(rows, torch.ones(5)):
        return WRONG_AXIS
    masked = attention(q[:5], k[:5], torch.eye(5), torch.ones(5, 5, dtype=torch.bool).tril())[1].sum(dim=-1)
    if not torch.allclose(masked, torch.ones(5)):
        return MASKED_TOO_LATE
    # One query that agrees with the first of two keys: the weights' ratio is e to the (scaled) score.
    one, two = attention(torch.ones(1, d), torch.stack([torch.ones(d), torch.zeros(d)]) / 8, torch.eye(2), None)[1][0]
    score = torch.log(one / two).item()
    divisors = {RIGHT: math.sqrt(d), WRONG_DIVISOR: d, NOT_SCALED: 1}
    return min(divisors, key=lambda name: abs(score - d / 8 / divisors[name]))


def main() -> None:
    torch.manual_seed(0)
    for name, suspect in SUSPECTS.items():
        print(f"{name}: {diagnose(suspect)}")


if __name__ == "__main__":
    main()
