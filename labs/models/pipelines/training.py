"""One training loop for all models of this folder."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor
from transformers import PreTrainedModel


def train(
    model: PreTrainedModel, batches: Iterable[Mapping[str, Tensor]], *, steps: int, peak_learning_rate: float
) -> None:
    """Take one step a batch with a rising and then falling learning rate; print the loss now and then."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=peak_learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak_learning_rate, total_steps=steps, pct_start=0.1)
    began = time.monotonic()
    # No dropout (eval mode still trains): a few hundred steps on made-up text do not overfit, and learn faster without.
    model.eval()
    for step, batch in enumerate(batches, start=1):
        loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step == 1 or step % 25 == 0 or step == steps:
            print(f"  step {step}/{steps} loss {loss.item():.3f} ({time.monotonic() - began:.0f}s)", flush=True)
