"""What each part of a transformer is for, measured on your own data.

labctl exec stage0-transformer -- python experiments.py score
labctl exec stage0-transformer -- python experiments.py        # all that are written
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable

import torch
from attention import MultiHeadAttention, attention, softmax
from block import Block, sinusoidal_positions
from data import CYCLE_WIDTH, WIDTHS, mine
from toys import descend, fill, places, save, tensor, weights
from torch import Tensor, nn


def entropy(p: Tensor) -> float:
    """-Σ p ln p of each row, the mean over the rows. 0 looks at one key, ln n at all n alike. Mind p = 0."""
    return torch.special.entr(p).sum(dim=-1).mean().item()


def score() -> None:
    """Step 1: the variance of q·k, and the entropy of its softmax with and without the scale, at four widths."""
    record = {}
    for width in WIDTHS:
        queries, keys = map(tensor, mine().queries_and_keys(width))
        products = queries @ keys.T
        variance = products.var().item()
        raw, scaled = entropy(softmax(products, dim=-1)), entropy(softmax(products / math.sqrt(width), dim=-1))
        print(f"width {width}: variance {variance:.4g}, entropy {raw:.3f} raw and {scaled:.3f} scaled")
        record[width] = {"variance": variance, "entropy_raw": raw, "entropy_scaled": scaled}
    save("score", record)


def roles() -> None:
    """Step 2: three matrices, set by hand, that tell each word what the word that it seeks says."""
    layout = mine().layout()  # which of the 20 features mean what
    features = sum(map(len, layout.values()))
    w_q, w_k, w_v = torch.zeros(features, 8), torch.zeros(features, 8), torch.zeros(features, 4)
    for name in range(8):
        w_q[layout["seeks"][name], name] = 40.0  # so that one match outweighs five misses after the division by √8
        w_k[layout["who"][name], name] = 1.0
    for column, feature in enumerate(layout["says"]):
        w_v[feature, column] = 1.0
    sentence = mine().sentence(random.Random(1))
    words = tensor(sentence.words)
    told, _ = attention(words @ w_q, words @ w_k, words @ w_v)
    print(f"largest error on a sentence: {(told - tensor(sentence.wanted)).abs().max():.2g}")
    save("roles", {"W_q": w_q, "W_k": w_k, "W_v": w_v})


def tied() -> None:
    """Step 2: the same task learnt with two matrices and with one in both places."""
    numbers, follows = mine().cycle()
    tokens, follows = tensor(numbers), torch.tensor(follows)
    itself = torch.eye(len(tokens), dtype=torch.bool)
    record = {}
    for name in ("untied", "tied"):
        torch.manual_seed(0)
        w_q = nn.Parameter(torch.randn(CYCLE_WIDTH, CYCLE_WIDTH) / 4)
        w_k = w_q if name == "tied" else nn.Parameter(torch.randn(CYCLE_WIDTH, CYCLE_WIDTH) / 4)

        def scores(w_q: Tensor = w_q, w_k: Tensor = w_k) -> Tensor:
            return (tokens @ w_q) @ (tokens @ w_k).T / math.sqrt(CYCLE_WIDTH)

        def loss(scores: Callable[[], Tensor] = scores) -> Tensor:
            # A token does not look at itself here.
            return nn.functional.cross_entropy(scores().masked_fill(itself, -1e9), follows)

        last = descend([w_q, w_k], loss, steps=300, rate=0.05)
        s = scores().detach()
        asymmetry = (torch.linalg.norm(s - s.T) / torch.linalg.norm(s)).item()
        print(f"{name}: loss {last:.4f}, asymmetry {asymmetry:.3f}")
        record[name] = {"W_q": w_q, "W_k": w_k, "loss": last, "asymmetry": asymmetry}
    save("tied", record)


def heads() -> None:
    """Step 3: a task that needs two things from two places, with one head and with two."""
    task = mine().two_places()
    print(task)
    record = {}
    for count in (1, 2):
        for start in range(8):  # two heads may both fall for the same half; then begin again with other weights
            torch.manual_seed(start)
            model = MultiHeadAttention(12, count)

            def loss(model: MultiHeadAttention = model) -> Tensor:
                where, what, wanted = places(task, 32)
                return ((model(where, where, what) - wanted) ** 2).mean()

            last = descend(model.parameters(), loss, steps=250, rate=0.03)
            print(f"heads {count}, start {start}: loss {last:.4f}")
            if count == 1 or last < 0.05:
                break
        record[count] = {"weights": weights(model), "loss": last}
    save("heads", record)


def position() -> None:
    """Step 4: what a block notices of the order of its tokens, and what two encodings know of their distance."""
    x = tensor(mine().matrix("tokens", 10, 16))[None]
    order = mine().shuffled(10)
    block = fill(Block(16, 4), "position")
    added = sinusoidal_positions(10, 16)
    without = (block(x[:, order]) - block(x)[:, order]).abs().max().item()
    with_ = (block(x[:, order] + added) - block(x + added)[:, order]).abs().max().item()
    width, distance = mine().distance()
    starts = [0, 3, 10, 40, 77]
    encoding = sinusoidal_positions(max(starts) + distance + 1, width)
    dots = [(encoding[t] @ encoding[t + distance]).item() for t in starts]
    print(f"gap {without:.2g} without positions, {with_:.2g} with; dot products {[round(dot, 4) for dot in dots]}")
    save("position", {"gap_without": without, "gap_with": with_, "dot": dots})


def depth() -> None:
    """Step 4: 24 blocks in a row, with and without layer norm, with and without residual connections."""
    x = tensor(mine().matrix("deep", 16, 32))[None]
    wanted = tensor(mine().matrix("wanted", 16, 32))[None]
    record = {}
    for norm in (True, False):
        for residual in (True, False):
            blocks = [fill(Block(32, 4, norm=norm, residual=residual), f"block {i}") for i in range(24)]
            h, rms = x, [root_mean_square(x)]
            for block in blocks:
                h = block(h)
                rms.append(root_mean_square(h))
            loss = ((nn.functional.layer_norm(h, (32,)) - wanted) ** 2).mean()
            loss.backward()
            spread = root_mean_square(h - h.mean(dim=1, keepdim=True)) / rms[-1]
            gradient = torch.linalg.norm(blocks[0].up.weight.grad).item()
            name = f"{'norm' if norm else 'no norm'}, {'residual' if residual else 'no residual'}"
            print(f"{name}: rms {rms[0]:.2g} to {rms[-1]:.2g}, spread {spread:.2g}, gradient {gradient:.2g}")
            record[name] = {"rms": rms, "spread": spread, "gradient": gradient}
    save("depth", record)


def root_mean_square(x: Tensor) -> float:
    return x.pow(2).mean().sqrt().item()


EXPERIMENTS = {"score": score, "roles": roles, "tied": tied, "heads": heads, "position": position, "depth": depth}


def main(names: list[str]) -> None:
    for name in names:
        if name not in EXPERIMENTS:
            sys.exit(f"there is no experiment {name!r}; there are {', '.join(EXPERIMENTS)}")
    for name in names or EXPERIMENTS:
        try:
            EXPERIMENTS[name]()
        except NotImplementedError as error:
            print(f"{name}: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
