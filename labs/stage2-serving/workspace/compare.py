"""Step 3: measure what quantising cost, and write it to out/comparison.json.

labctl exec stage2-serving -- python compare.py
"""

from __future__ import annotations

import json
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
    # Yours. model(input_ids=…).logits has the shape (1, tokens, vocabulary); position i predicts token i + 1.
    # torch.nn.functional.cross_entropy(…, reduction="sum") adds up losses; hand it .float() logits.
    raise NotImplementedError("step 3: perplexity in compare.py is yours to write")


def measure(folder: str | Path) -> dict[str, Any]:
    """What is known of one model: bytes, perplexity, right and asked, tokens_per_second."""
    # Yours: load it and the tokenizer, and call perplexity and what measuring.py has.
    raise NotImplementedError("step 3: measure in compare.py is yours to write")


def main() -> None:
    found = {}
    for name, folder in MODELS.items():
        found[name] = measure(folder)
        print(name, found[name], flush=True)
    (OUT / "comparison.json").write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
