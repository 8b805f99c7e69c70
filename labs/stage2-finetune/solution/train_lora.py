"""Fine-tune the base model with LoRA and save the adapter in out/adapter.

labctl exec stage2-finetune -- python train_lora.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import training
from peft import LoraConfig
from trl import SFTTrainer

OUT = Path("out")
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
MLP = ["gate_proj", "up_proj", "down_proj"]


def fine_tune(lora: LoraConfig, out: Path, epochs: int) -> dict[str, Any]:
    """Train the adapter that `lora` describes, save it with the trainer's state in `out`; what the run cost."""
    model, tokenizer = training.load_base()
    trainer = SFTTrainer(
        model=model,
        args=training.settings(out, learning_rate=training.LORA_LEARNING_RATE, epochs=epochs),
        train_dataset=training.load_tickets(),
        processing_class=tokenizer,
        peft_config=lora,
    )
    trainer.train()
    trainer.save_model()
    trainer.save_state()
    return training.cost(trainer)


def main() -> None:
    lora = LoraConfig(task_type="CAUSAL_LM", r=16, lora_alpha=32, target_modules=[*ATTENTION, *MLP])
    before = training.base_sha256()
    run = fine_tune(lora, OUT / "adapter", epochs=12)
    run |= {"base_sha256_before": before, "base_sha256_after": training.base_sha256()}
    (OUT / "lora.json").write_text(json.dumps(run, indent=2))
    print(json.dumps(run, indent=2))


if __name__ == "__main__":
    main()
