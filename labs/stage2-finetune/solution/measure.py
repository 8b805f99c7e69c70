"""Train the same adapter with other ranks and other alphas, and write what came out to out/experiments.json.

labctl exec stage2-finetune -- python measure.py
"""

from __future__ import annotations

import json
from pathlib import Path

from peft import LoraConfig
from train_lora import ATTENTION, MLP, fine_tune

OUT = Path("out")
EPOCHS = 4

RUNS = {
    "rank-2": {"r": 2, "lora_alpha": 4, "target_modules": [*ATTENTION, *MLP]},
    "rank-16": {"r": 16, "lora_alpha": 32, "target_modules": [*ATTENTION, *MLP]},
    "attention-only": {"r": 16, "lora_alpha": 32, "target_modules": ATTENTION},
    "alpha-1": {"r": 16, "lora_alpha": 1, "target_modules": [*ATTENTION, *MLP]},
}


def main() -> None:
    runs = {}
    for name, chosen in RUNS.items():
        run = fine_tune(LoraConfig(task_type="CAUSAL_LM", **chosen), OUT / name, EPOCHS)
        runs[name] = {**chosen, **run}
        print(
            f"{name}: {run['trainable_parameters']:,} parameters, loss {run['first_loss']:.3f} → {run['last_loss']:.4f}"
        )
    (OUT / "experiments.json").write_text(json.dumps(runs, indent=2))


if __name__ == "__main__":
    main()
