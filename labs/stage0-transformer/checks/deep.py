"""The 24 blocks of step 4, in torch and without the learner's code: what out/depth.json must hold. Prints JSON.

python -I deep.py DATA_PY SEED
"""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from typing import Any

import torch
from torch.nn.functional import gelu, layer_norm, linear, scaled_dot_product_attention

DEPTH, TOKENS, WIDTH, HEADS = 24, 16, 32, 4


def main(data_py: str, seed: str) -> None:
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    spec = importlib.util.spec_from_file_location("data", data_py)
    data = importlib.util.module_from_spec(spec)
    sys.modules["data"] = data
    spec.loader.exec_module(data)
    session = data.Session(seed)
    blocks = [matrices(session, f"block {i}") for i in range(DEPTH)]
    x = torch.tensor(session.matrix("deep", TOKENS, WIDTH))
    wanted = torch.tensor(session.matrix("wanted", TOKENS, WIDTH))
    found = {}
    for norm in (True, False):
        for residual in (True, False):
            name = f"{'norm' if norm else 'no norm'}, {'residual' if residual else 'no residual'}"
            found[name] = measured(blocks, x, wanted, norm, residual)
    print(json.dumps(found))


def matrices(session: Any, name: str) -> dict[str, torch.Tensor]:
    """A block's weights, as the lab's `fill` makes them."""
    sizes = {f"attention.W_{part}": (WIDTH, WIDTH) for part in "qkvo"}
    sizes |= {"up": (4 * WIDTH, WIDTH), "down": (WIDTH, 4 * WIDTH)}
    return {
        key: torch.tensor(session.matrix(f"{name} {key}.weight", rows, columns, 1 / math.sqrt(columns)))
        for key, (rows, columns) in sizes.items()
    }


def measured(
    blocks: list[dict[str, torch.Tensor]], x: torch.Tensor, wanted: torch.Tensor, norm: bool, residual: bool
) -> dict[str, Any]:
    first = blocks[0]["up"].clone().requires_grad_()
    rms = [root_mean_square(x)]
    for weights in [{**blocks[0], "up": first}, *blocks[1:]]:
        x = through(weights, x, norm, residual)
        rms.append(root_mean_square(x))
    ((layer_norm(x, (WIDTH,)) - wanted) ** 2).mean().backward()
    spread = root_mean_square(x - x.mean(dim=0)) / rms[-1]
    return {"rms": rms, "spread": spread, "gradient": first.grad.norm().item()}


def through(weights: dict[str, torch.Tensor], x: torch.Tensor, norm: bool, residual: bool) -> torch.Tensor:
    y = layer_norm(x, (WIDTH,)) if norm else x
    q, k, v = (linear(y, weights[f"attention.W_{part}"]).view(TOKENS, HEADS, -1).transpose(0, 1) for part in "qkv")
    mixed = scaled_dot_product_attention(q, k, v).transpose(0, 1).reshape(TOKENS, WIDTH)
    result = linear(mixed, weights["attention.W_o"])
    x = x + result if residual else result
    result = linear(gelu(linear(layer_norm(x, (WIDTH,)) if norm else x, weights["up"])), weights["down"])
    return x + result if residual else result


def root_mean_square(x: torch.Tensor) -> float:
    return x.pow(2).mean().sqrt().item()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
