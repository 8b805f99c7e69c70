"""Fine-tune every weight of the base model, save it in out/full, and compare it with the adapter.

labctl exec stage2-finetune -- python train_full.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import training
from trl import SFTTrainer

OUT = Path("out")


def fine_tune(out: Path, epochs: int) -> dict[str, Any]:
    """Train all weights, save the model and its tokenizer in `out`; what the run cost."""
    model, tokenizer = training.load_base()
    trainer = SFTTrainer(
        model=model,
        args=training.settings(out, learning_rate=training.FULL_LEARNING_RATE, epochs=epochs),
        train_dataset=training.load_tickets(),
        processing_class=tokenizer,
    )
    trainer.train()
    trainer.save_model()
    return training.cost(trainer)


def weights_bytes(folder: Path) -> int:
    """What the weights in `folder` take on disk."""
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def main() -> None:
    full = fine_tune(OUT / "full", epochs=8)
    lora = json.loads((OUT / "lora.json").read_text())
    comparison = {
        "lora": {**lora, "disk_bytes": weights_bytes(OUT / "adapter")},
        "full": {**full, "disk_bytes": weights_bytes(OUT / "full")},
    }
    (OUT / "comparison.json").write_text(json.dumps(comparison, indent=2))
    print(json.dumps(comparison, indent=2))


if __name__ == "__main__":
    main()
