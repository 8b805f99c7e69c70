"""Steps 1 and 3: attention. Shapes are in the docstrings; `…` stands for any dimensions before."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def softmax(x: Tensor, dim: int) -> Tensor:
    """e^x divided by its sum along `dim`. Must hold for numbers in the thousands too. Not torch's own."""
    e = torch.exp(x - x.amax(dim, keepdim=True))
    return e / e.sum(dim, keepdim=True)


def causal_mask(n: int) -> Tensor:
    """(n, n) of booleans (torch.bool): row i may look at column j (True) when j is not later than i."""
    return torch.ones(n, n, dtype=torch.bool).tril()


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """What each query gets from the values, and the weights: (…, queries, d_v) and (…, queries, keys).

    q (…, queries, d), k (…, keys, d), v (…, keys, d_v). mask: booleans that broadcast to (…, queries, keys); False is not
    looked at. None looks at everything.
    """
    scores = q @ k.transpose(-2, -1) / q.shape[-1]
    weights = softmax(scores, dim=-1)
    if mask is not None:
        weights = weights * mask
    return weights @ v, weights


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(batch, n, width) becomes (batch, heads, n, width / heads): head h gets the h-th part of each row."""
    batch, n, width = x.shape
    return x.view(batch, n, heads, width // heads).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """Undoes split_heads: (batch, heads, n, d) becomes (batch, n, heads · d)."""
    batch, heads, n, d = x.shape
    return x.transpose(1, 2).reshape(batch, n, heads * d)


class MultiHeadAttention(nn.Module):
    """Several attentions side by side, each over its own part of the width."""

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
        q, k, v = (split_heads(projected, self.num_heads) for projected in (self.W_q(Q), self.W_k(K), self.W_v(V)))
        mixed, _ = attention(q, k, v, mask)
        return self.W_o(merge_heads(mixed))
