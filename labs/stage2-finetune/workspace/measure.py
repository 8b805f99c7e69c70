"""Step 4: train the same adapter with other ranks, alphas and targets, and write the results to out/experiments.json.

labctl exec stage2-finetune -- python measure.py
"""

from __future__ import annotations

import json
from pathlib import Path

from train_lora import ATTENTION, MLP, fine_tune

OUT = Path("out")
EPOCHS = 4  # few, so that runs which learn slowly are seen to do so

RUNS = {
    "rank-2": {"r": 2, "lora_alpha": 4, "target_modules": [*ATTENTION, *MLP]},
    "rank-16": {"r": 16, "lora_alpha": 32, "target_modules": [*ATTENTION, *MLP]},
    "attention-only": {"r": 16, "lora_alpha": 32, "target_modules": ATTENTION},
    "alpha-1": {"r": 16, "lora_alpha": 1, "target_modules": [*ATTENTION, *MLP]},
}


def main() -> None:
    runs = {}
    for name, chosen in RUNS.items():
        # Yours: fine-tune with the LoraConfig that `chosen` describes, the adapter in out/<name>, and keep
        # {**chosen, **what the run cost} in runs[name].
        raise NotImplementedError("step 4: the loop in measure.py is yours to write")
    (OUT / "experiments.json").write_text(json.dumps(runs, indent=2))


if __name__ == "__main__":
    main()
