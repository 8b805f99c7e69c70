"""Step 3: measure what quantising cost, and write it to out/comparison.json.

labctl exec stage2-serving -- python compare.py
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import measuring
import torch
from transformers import PreTrainedModel

OUT = Path("out")
WINDOW = 256
MODELS = {"original": measuring.MODEL, "int8": OUT / "int8", "int4": OUT / "int4"}


@torch.inference_mode()
def perplexity(model: PreTrainedModel, ids: torch.Tensor) -> float:
    """exp of the mean loss a token. `ids` has the tokens of the whole text, shape (tokens,).

    The text is cut into windows of WINDOW tokens that do not overlap. In each, every token but the first is predicted from
    those before it; the mean is over all predicted tokens, not over windows.
    """
    total, count = 0.0, 0
    for start in range(0, len(ids), WINDOW):
        window = ids[start : start + WINDOW].to(model.device)
        logits = model(input_ids=window[None]).logits[0].float()
        total += torch.nn.functional.cross_entropy(logits[:-1], window[1:], reduction="sum").item()
        count += len(window) - 1
    return math.exp(total / count)


def measure(folder: str | Path) -> dict[str, Any]:
    """What is known of one model: bytes, perplexity, right and asked, tokens_per_second."""
    model, tokenizer = measuring.load(folder), measuring.load_tokenizer()
    text = measuring.TEXT.read_text(encoding="utf-8")
    right, asked = measuring.accuracy(model, tokenizer)
    return {
        "bytes": measuring.weights_bytes(folder),
        "perplexity": perplexity(model, tokenizer(text, return_tensors="pt").input_ids[0]),
        "right": right,
        "asked": asked,
        "tokens_per_second": measuring.tokens_per_second(model, tokenizer),
    }


def main() -> None:
    found = {}
    for name, folder in MODELS.items():
        found[name] = measure(folder)
        print(name, found[name], flush=True)
    (OUT / "comparison.json").write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
