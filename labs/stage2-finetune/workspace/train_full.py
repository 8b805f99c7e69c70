"""Step 5: fine-tune every weight of the base model, save it in out/full, and compare the cost with the adapter's.

labctl exec stage2-finetune -- python train_full.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import training

OUT = Path("out")


def fine_tune(out: Path, epochs: int) -> dict[str, Any]:
    """Train all weights, save the model and its tokenizer in `out`; what the run cost."""
    # Yours: what is different from fine_tune in train_lora.py? (The learning rate, training.FULL_LEARNING_RATE, is one.)
    raise NotImplementedError("step 5: fine_tune in train_full.py is yours to write")


def weights_bytes(folder: Path) -> int:
    """What the weights in `folder` take on disk."""
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def main() -> None:
    full = fine_tune(OUT / "full", epochs=8)
    # Yours: out/comparison.json with two entries, "lora" (from out/lora.json) and "full", each with what
    # training.cost() measured and `disk_bytes`, the weights' size in out/adapter and out/full.
    print(json.dumps(full, indent=2))


if __name__ == "__main__":
    main()
