"""Calls the learner's functions with inputs that come on stdin, and prints what they return as one line of JSON.

Runs in the session, in the workspace. Judges nothing: the right answers are not here.

    python -B drive.py < cases.json        a list of {"call": name, …}; an answer is {"value": …, "used": [torch's operations]}
                                           or {"error": text}
"""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import sys
import traceback
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path.cwd()))

import torch
from torch.utils._python_dispatch import TorchDispatchMode

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


class Operations(TorchDispatchMode):
    """The names of the operations that torch carries out meanwhile, by whatever name they were called."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.add(func.name().partition("::")[2].partition(".")[0])
        return func(*args, **(kwargs or {}))


def tensor(value: Any) -> torch.Tensor | None:
    return None if value is None else torch.tensor(value)


def load(module: torch.nn.Module, weights: dict[str, Any]) -> torch.nn.Module:
    """The module with these weights, in 64-bit floats wherever its author made them."""
    module.double().load_state_dict({key: tensor(value) for key, value in weights.items()})
    return module


def call(case: dict[str, Any]) -> Any:
    """What the learner's function returns for one case."""
    return CALLS[case["call"]](**{key: value for key, value in case.items() if key != "call"})


def softmax(x: Any, dim: int) -> Any:
    return learners("attention").softmax(tensor(x), dim)


def causal_mask(n: int) -> Any:
    made = learners("attention").causal_mask(n)
    return [str(getattr(made, "dtype", type(made).__name__)).removeprefix("torch."), made]


def attention(q: Any, k: Any, v: Any, mask: Any = None) -> Any:
    return learners("attention").attention(tensor(q), tensor(k), tensor(v), tensor(mask))


def split_heads(x: Any, heads: int) -> Any:
    return learners("attention").split_heads(tensor(x), heads)


def merge_heads(x: Any) -> Any:
    return learners("attention").merge_heads(tensor(x))


def multi_head(width: int, heads: int, weights: Any, inputs: Any, mask: Any = None) -> Any:
    made = load(learners("attention").MultiHeadAttention(width, heads), weights)
    return made(*map(tensor, inputs), tensor(mask))


def positions(n: int, width: int) -> Any:
    return learners("block").sinusoidal_positions(n, width)


def layer_norm(x: Any, gain: Any, bias: Any) -> Any:
    return load(learners("block").LayerNorm(len(gain)), {"gain": gain, "bias": bias})(tensor(x))


def block(width: int, heads: int, weights: Any, x: Any, mask: Any, norm: bool, residual: bool) -> Any:
    made = load(learners("block").Block(width, heads, norm=norm, residual=residual), weights)
    return made(tensor(x), tensor(mask))


def learners(module: str) -> Any:
    """A module of the workspace; imported late, so that one that cannot be imported spoils only what needs it."""
    return importlib.import_module(module)


def diagnosis(kind: str, number: int) -> str:
    """What the learner's `diagnose` says of an attention of this kind."""
    flaw, _, style = kind.partition("/")

    def attention(
        q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        q, k, v = q.double(), k.double(), v.double()
        d = q.shape[-1]
        scores = torch.einsum("...qd,...kd->...qk", q, k)
        scores = scores / {"divided-by-d": d, "not-scaled": 1}.get(flaw, math.sqrt(d))
        late = flaw == "masked-after-softmax" or style == "renormed"
        if mask is not None and not late:
            scores = scores.masked_fill(~mask, -1e30)
        weights = scores.softmax(-2 if flaw == "softmax-over-queries" else -1)
        if mask is not None and late:
            weights = weights * mask
            weights = weights / weights.sum(-1, keepdim=True) if style == "renormed" else weights
        return weights @ v, weights

    torch.manual_seed(number)
    return learners("diagnose").diagnose(attention)


CALLS = {
    "softmax": softmax,
    "causal_mask": causal_mask,
    "attention": attention,
    "split_heads": split_heads,
    "merge_heads": merge_heads,
    "MultiHeadAttention": multi_head,
    "sinusoidal_positions": positions,
    "LayerNorm": layer_norm,
    "Block": block,
    "diagnose": diagnosis,
}


def plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().tolist()
    return [plain(part) for part in value] if isinstance(value, list | tuple) else value


def answer(case: dict[str, Any]) -> dict[str, Any]:
    try:
        with Operations() as operations:
            value = call(case)
        return {"value": plain(value), "used": sorted(operations.seen)}
    except Exception as error:  # noqa: BLE001 whatever goes wrong in the learner's code is the learner's to read
        return {"error": f"{place(error)}{type(error).__name__}: {error}".rstrip(": ")}


def place(error: Exception) -> str:
    """The last line of the learner's own that was on the way to the error."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).parent == Path.cwd()]
    return f"{Path(frames[-1].filename).name}, line {frames[-1].lineno} ({frames[-1].line}): " if frames else ""


if __name__ == "__main__":
    cases = json.load(sys.stdin)
    with contextlib.redirect_stdout(sys.stderr):  # what the learner's modules print is not an answer
        answers = [answer(case) for case in cases]
    print(json.dumps(answers))
