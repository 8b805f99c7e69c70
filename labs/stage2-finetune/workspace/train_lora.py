"""Step 2: fine-tune the base model with LoRA and save the adapter in out/adapter.

labctl exec stage2-finetune -- python train_lora.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import training
from peft import LoraConfig

OUT = Path("out")
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
MLP = ["gate_proj", "up_proj", "down_proj"]


def fine_tune(lora: LoraConfig, out: Path, epochs: int) -> dict[str, Any]:
    """Train the adapter that `lora` describes, save it with the trainer's state in `out`; what the run cost."""
    model, tokenizer = training.load_base()
    # Yours: make TRL's SFTTrainer from the model, training.settings(…), training.load_tickets(), the tokenizer (its
    # name there is processing_class) and the LoRA configuration; train; save the adapter and the trainer's state;
    # return training.cost(trainer).
    raise NotImplementedError("step 2: fine_tune in train_lora.py is yours to write")


def main() -> None:
    # Yours: rank, alpha and target modules. Leave a matrix out of target_modules, and nothing is added to it.
    lora = LoraConfig(task_type="CAUSAL_LM")
    before = training.base_sha256()
    run = fine_tune(lora, OUT / "adapter", epochs=12)
    run |= {"base_sha256_before": before, "base_sha256_after": training.base_sha256()}
    (OUT / "lora.json").write_text(json.dumps(run, indent=2))
    print(json.dumps(run, indent=2))


if __name__ == "__main__":
    main()
