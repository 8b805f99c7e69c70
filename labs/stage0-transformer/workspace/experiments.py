"""Steps 1 to 4: what each part of a transformer is for, measured on your own data.

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
    raise NotImplementedError("step 1: entropy in experiments.py is yours to write")


def score() -> None:
    """Step 1: the variance of q·k, and the entropy of its softmax with and without the scale, at four widths."""
    record = {}
    for width in WIDTHS:
        queries, keys = map(tensor, mine().queries_and_keys(width))
        # Yours: all 64 × 64 products of a query and a key; record their variance, and the entropy of their softmax
        # over the keys as they are (raw) and divided by the root of the width (scaled).
        raise NotImplementedError("step 1: score in experiments.py is yours to write")
        print(f"width {width}: variance {variance:.4g}, entropy {raw:.3f} raw and {scaled:.3f} scaled")
        record[width] = {"variance": variance, "entropy_raw": raw, "entropy_scaled": scaled}
    save("score", record)


def roles() -> None:
    """Step 2: three matrices, set by hand, that tell each word what the word that it seeks says."""
    layout = mine().layout()  # which of the 20 features mean what
    features = sum(map(len, layout.values()))
    w_q, w_k, w_v = torch.zeros(features, 8), torch.zeros(features, 8), torch.zeros(features, 4)
    # Yours: fill them in. A word's query is word @ w_q, its key word @ w_k, its value word @ w_v.
    # Before you save, try them with your attention() on sentence = mine().sentence(random.Random(1)): tensor(sentence.words)
    # is its six words, tensor(sentence.wanted) what each is to be told.
    raise NotImplementedError("step 2: roles in experiments.py is yours to write")
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

        # Yours: train (descend with 300 steps at a rate of 0.05 will do), and measure the asymmetry of the scores: the
        # Frobenius norm of S - Sᵀ divided by that of S. S is scores() as they are: the loss masks the diagonal, S does not.
        raise NotImplementedError("step 2: tied in experiments.py is yours to write")
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
            # Yours: train it (250 steps, rate 0.03) on the mean squared error between model(where, where, what) and what is
            # wanted. Queries and keys know where they are, values what is there. The loss takes a new batch each time that
            # it is called, places(task, 32): with one batch for all steps the model learns that batch by heart. The last
            # loss is that of one batch, so it may be a little below or above the error over all contents.
            raise NotImplementedError("step 3: heads in experiments.py is yours to write")
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
    # Yours, twice: shuffle the tokens of x and send them through the block; or send x through the block and shuffle what
    # comes out. The gap is the largest absolute difference between the two. First x as it is, then each time with
    # sinusoidal_positions(10, 16) added to whatever goes into the block.
    # And the dot product of the encodings (of your width) of the positions t and t + distance, for these five t.
    width, distance = mine().distance()
    starts = [0, 3, 10, 40, 77]
    raise NotImplementedError("step 4: position in experiments.py is yours to write")
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
            # Yours. rms: the root of the mean square of x before the first block and after each, 25 numbers.
            # spread: how different the tokens still are at the end, the rms of x minus its mean over the tokens, divided
            # by the rms of x. gradient: the Frobenius norm of the gradient that blocks[0].up.weight gets from the loss
            # ((nn.functional.layer_norm(x, (32,)) - wanted) ** 2).mean(), with x after the last block.
            raise NotImplementedError("step 4: depth in experiments.py is yours to write")
            name = f"{'norm' if norm else 'no norm'}, {'residual' if residual else 'no residual'}"
            print(f"{name}: rms {rms[0]:.2g} to {rms[-1]:.2g}, spread {spread:.2g}, gradient {gradient:.2g}")
            record[name] = {"rms": rms, "spread": spread, "gradient": gradient}
    save("depth", record)


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
