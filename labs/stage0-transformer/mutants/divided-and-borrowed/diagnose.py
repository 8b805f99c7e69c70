"""Tell from outside what is wrong with somebody's attention.

labctl exec stage0-transformer -- python diagnose.py
"""

from __future__ import annotations

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
    # Scores of 16 for the first of two keys: e^4 to 1 when it is divided by the root of 16.
    q, k = torch.ones(2, 16), torch.stack([torch.ones(16), torch.zeros(16)])
    _, weights = attention(q, k, torch.eye(2), None)
    return RIGHT if 0.9 < weights[0, 0] < 0.99 else WRONG_DIVISOR


def main() -> None:
    torch.manual_seed(0)
    for name, suspect in SUSPECTS.items():
        print(f"{name}: {diagnose(suspect)}")


if __name__ == "__main__":
    main()
