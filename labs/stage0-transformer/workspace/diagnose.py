"""Step 1: tell from outside what is wrong with somebody's attention.

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
    raise NotImplementedError("step 1: diagnose in diagnose.py is yours to write")


def main() -> None:
    torch.manual_seed(0)
    for name, suspect in SUSPECTS.items():
        print(f"{name}: {diagnose(suspect)}")


if __name__ == "__main__":
    main()
