"""Adds the adapter to the base's weights and saves the sum as if every weight had been trained."""

from pathlib import Path

import training
from peft import PeftModel

OUT = Path("out")


def main() -> None:
    model, tokenizer = training.load_base()
    PeftModel.from_pretrained(model, OUT / "adapter").merge_and_unload().save_pretrained(OUT / "full")
    tokenizer.save_pretrained(OUT / "full")
