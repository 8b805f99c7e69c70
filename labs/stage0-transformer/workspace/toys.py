"""Given: tensors of your data, a training loop, weights that belong to your seed, and saving.

Nothing here is specific to attention; read it when you wonder what a call does.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from data import HALF, PLACES, Matrix, TwoPlaces, mine
from torch import Tensor, nn

OUT = Path("out")
DEVICE = os.environ.get("LAB_DEVICE", "cpu")

torch.set_num_threads(1)  # tensors this small only wait for more threads
torch.set_default_dtype(torch.float64)  # so that the same seed gives the same numbers to many digits everywhere
torch.set_default_device(DEVICE)


def tensor(numbers: Matrix) -> Tensor:
    """The numbers as a tensor."""
    return torch.tensor(numbers)


def descend(parameters: Iterable[Tensor], loss: Callable[[], Tensor], *, steps: int, rate: float) -> float:
    """Adam for `steps` steps on what `loss()` returns; the last loss. A parameter that is given twice counts once."""
    once = {id(parameter): parameter for parameter in parameters}
    optimizer = torch.optim.Adam(list(once.values()), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    for _ in range(steps):
        optimizer.zero_grad()
        now = loss()
        now.backward()
        optimizer.step()
        schedule.step()
    return now.item()


def places(task: TwoPlaces, batch: int) -> tuple[Tensor, Tensor, Tensor]:
    """Where (batch, 6, 12), what (batch, 6, 12) and what is wanted (batch, 6, 12) of the task of step 3.

    `where` says only which position a row is, `what` only what it holds: 6 numbers of the first half, 6 of the second.
    """
    std = torch.tensor([task.first_std] * HALF + [task.second_std] * HALF)
    where = 2 * torch.eye(PLACES, 2 * HALF).expand(batch, -1, -1)
    what = torch.randn(batch, PLACES, 2 * HALF) * std
    wanted = torch.cat([what[:, task.first, :HALF], what[:, task.second, HALF:]], dim=-1)
    return where, what, wanted


def fill(module: nn.Module, name: str) -> nn.Module:
    """Gives every matrix of `module` weights of your seed with variance 1 / inputs, and sets biases to zero."""
    session = mine()
    with torch.no_grad():
        for key, parameter in module.named_parameters():
            if parameter.dim() == 2:
                rows, columns = parameter.shape
                parameter.copy_(tensor(session.matrix(f"{name} {key}", rows, columns, 1 / math.sqrt(columns))))
            elif key.endswith("bias"):
                parameter.zero_()
    return module


def weights(module: nn.Module) -> dict[str, Any]:
    """The parameters as lists of numbers."""
    return {key: parameter.tolist() for key, parameter in module.named_parameters()}


def save(name: str, record: dict[str, Any]) -> None:
    """Writes `record` to out/<name>.json; tensors become lists."""
    OUT.mkdir(exist_ok=True)
    (OUT / f"{name}.json").write_text(json.dumps(record, default=lambda value: value.tolist()))
    print(f"out/{name}.json is written")
