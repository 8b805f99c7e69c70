"""What stands around attention in a transformer."""

from __future__ import annotations

import torch
from attention import MultiHeadAttention
from torch import Tensor, nn


def sinusoidal_positions(n: int, width: int) -> Tensor:
    """(n, width): the encoding of "Attention Is All You Need", section 3.5; `width` is even.

    Of position t, column 2i is sin(t / 10000^(2i / width)) and column 2i + 1 the cosine of the same.
    """
    angles = torch.arange(n)[:, None] / 10000 ** (torch.arange(0, width, 2) / width)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).reshape(n, width)


class LayerNorm(nn.Module):
    """Each row with mean 0 and variance 1 (the variance over n, not n - 1), then times `gain` plus `bias`."""

    def __init__(self, width: int, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.epsilon = epsilon  # added to the variance, under the root
        self.gain = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """(…, width) to the same shape. torch's own layer_norm (group_norm, batch_norm) is not allowed."""
        mean = x.mean(dim=-1, keepdim=True)
        variance = x.var(dim=-1, correction=0, keepdim=True)
        return (x - mean) / torch.sqrt(variance + self.epsilon) * self.gain + self.bias


class Block(nn.Module):
    """Attention, then a feed-forward network; each reads a normed copy of x and adds its result to x ("pre-norm").

    With norm=False they read x itself. With residual=False their result takes the place of x.
    """

    def __init__(self, width: int, heads: int, *, norm: bool = True, residual: bool = True) -> None:
        super().__init__()
        self.norm = norm
        self.residual = residual
        self.norm1 = LayerNorm(width)
        self.attention = MultiHeadAttention(width, heads)
        self.norm2 = LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(batch, n, width) to the same shape. The feed-forward network is down(gelu(up(·)))."""
        y = self.norm1(x) if self.norm else x
        x = self._join(x, self.attention(y, y, y, mask))
        y = self.norm2(x) if self.norm else x
        return self._join(x, self.down(nn.functional.gelu(self.up(y))))

    def _join(self, x: Tensor, result: Tensor) -> Tensor:
        return x + result if self.residual else result
