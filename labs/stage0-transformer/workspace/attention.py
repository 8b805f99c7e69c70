"""Steps 1 and 3: attention, written by you. Shapes are in the docstrings; `…` stands for any dimensions before.

torch's own softmax and scaled_dot_product_attention are what you write here: `softmax` and `attention` may not call them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def softmax(x: Tensor, dim: int) -> Tensor:
    """e^x divided by its sum along `dim`. Must hold for numbers in the thousands too. Not torch's own."""
    raise NotImplementedError("step 1: softmax in attention.py is yours to write")


def causal_mask(n: int) -> Tensor:
    """(n, n) of booleans (torch.bool): row i may look at column j (True) when j is not later than i."""
    raise NotImplementedError("step 1: causal_mask in attention.py is yours to write")


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """What each query gets from the values, and the weights: (…, queries, d_v) and (…, queries, keys).

    q (…, queries, d), k (…, keys, d), v (…, keys, d_v). mask: booleans that broadcast to (…, queries, keys); False is not
    looked at. None looks at everything.
    """
    raise NotImplementedError("step 1: attention in attention.py is yours to write")


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(batch, n, width) becomes (batch, heads, n, width / heads): head h gets the h-th part of each row."""
    raise NotImplementedError("step 3: split_heads in attention.py is yours to write")


def merge_heads(x: Tensor) -> Tensor:
    """Undoes split_heads: (batch, heads, n, d) becomes (batch, n, heads · d)."""
    raise NotImplementedError("step 3: merge_heads in attention.py is yours to write")


class MultiHeadAttention(nn.Module):
    """The snippet that goes round the web. It looks right, and does not run: repair it, and write what it leaves out."""

    def __init__(self, d_model: int, num_heads: int) -> None:
        super().__init__()
        self.d_model = d_model
        self.num_heads = num_heads
        self.d_k = d_model // num_heads

        self.W_q = nn.Linear(d_model, d_model)
        self.W_k = nn.Linear(d_model, d_model)
        self.W_v = nn.Linear(d_model, d_model)
        self.W_o = nn.Linear(d_model, d_model)

    def forward(self, Q: Tensor, K: Tensor, V: Tensor, mask: Tensor | None = None) -> Tensor:
        """(batch, queries, d_model). Q, K, V are (batch, n, d_model); K and V may be longer or shorter than Q."""
        # 1. Linear projections
        Q = self.W_q(Q)
        K = self.W_k(K)
        V = self.W_v(V)

        # 2. Split into multiple heads
        Q = Q.view(batch_size, -1, self.num_heads, self.d_k).transpose(1, 2)
        # ... attention computation
        return torch.zeros(())
