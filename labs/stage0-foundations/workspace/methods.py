"""Step 4: full fine-tuning, LoRA and QLoRA of the same model on your chats, with every byte counted.

labctl exec stage0-foundations -- python methods.py
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
import training
from objective import chat_example, next_token_loss
from torch import Tensor
from transformers import AutoModelForCausalLM

OUT = Path("out")
RANK = 8
STEPS = {"full": 10, "lora": 200, "qlora": 200}  # a full run needs a few steps only, to be counted


def full() -> Any:
    """The profile's model in 32-bit floats, every weight trained."""
    return AutoModelForCausalLM.from_pretrained(training.MODEL, dtype=torch.float32).to(training.DEVICE)


def lora(model: Any) -> Any:
    """`model` with a LoRA adapter of rank 8 and alpha 16 on all seven linear layers of each block (PEFT)."""
    raise NotImplementedError("step 4: lora in methods.py is yours to write")


def quantized() -> Any:
    """The profile's model with its linear layers in 4 bits: nf4, constants quantized too, computing in 32-bit floats."""
    raise NotImplementedError("step 4: quantized in methods.py is yours to write")


def size(tensors: Iterable[Tensor]) -> int:
    """Bytes of these tensors."""
    raise NotImplementedError("step 4: size in methods.py is yours to write")


def count(model: Any, optimizer: torch.optim.Optimizer) -> dict[str, int]:
    """trainable (how many numbers), and the bytes of all parameters, of the gradients, and of what the optimizer keeps.

    The names: trainable, weight_bytes, gradient_bytes, optimizer_bytes. Call it after a step: before it the optimizer has
    nothing. optimizer.state holds, for each parameter, a dictionary of tensors.
    """
    raise NotImplementedError("step 4: count in methods.py is yours to write")


def fine_tune(model: Any, steps: int) -> dict[str, Any]:
    """Trains the model on your chats; what it cost. Given."""
    torch.manual_seed(0)
    examples = [chat_example(*ids) for ids in training.chat_ids(training.load_tokenizer())]
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=training.METHOD_RATE, weight_decay=0.0)
    slower = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, total_iters=steps)
    losses = []
    for batch in training.batches(examples, steps):
        losses.append(training.step_once(model, optimizer, batch, next_token_loss))
        slower.step()
    return {**count(model, optimizer), "first_loss": losses[0], "last_loss": losses[-1]}


def main() -> None:
    makers: dict[str, Callable[[], Any]] = {
        "full": full,
        "lora": lambda: lora(full()),
        "qlora": lambda: lora(quantized()),
    }
    record = {}
    for name, make in makers.items():
        torch.manual_seed(0)
        model = make()
        record[name] = fine_tune(model, STEPS[name])
        print(name, record[name], flush=True)
        if name != "full":
            model.save_pretrained(OUT / name)
    (OUT / "methods.json").write_text(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
