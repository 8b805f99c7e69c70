"""Writes answers.yaml from the functions and the runs. Only the solution has it: a learner works the numbers out."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import maths
import memory
import yaml
from data import mine


def main() -> None:
    p, q = mine().distributions()
    entropies = [maths.entropy(maths.softmax(mine().logits(), t)) for t in maths.TEMPERATURES]
    errors = maths.gradient_check()
    table = recorded("out/objective.json")
    large = recorded("configs/llama-3.1-70b.json")
    totals = [sum(memory.training_bytes(large, method).values()) / 1e9 for method in ("full", "lora", "qlora")]
    answers = {
        "maths": {
            **dict(zip(("entropy_half", "entropy_one", "entropy_two"), entropies)),
            "kl_pq": maths.kl(p, q),
            "kl_qp": maths.kl(q, p),
            "best_h": float(min(errors, key=errors.get)),
        },
        "objective": {
            "untrained_loss": math.log(vocabulary()),
            "perplexity_before": math.exp(table["base"]["plain"]),
            "perplexity_after": math.exp(table["chat"]["plain"]),
        },
        "memory": {
            **dict(zip(("full_70b", "lora_70b", "qlora_70b"), totals)),
            "bytes_of_280gb": 280e9 / memory.all_parameters(large),
            "bits_of_24gb": 8 * 24e9 / memory.all_parameters(large),
        },
    }
    Path("answers.yaml").write_text(yaml.safe_dump(answers, sort_keys=False))


def vocabulary() -> int:
    folder = Path(os.environ["MODEL_PATH"])
    if folder.is_dir():
        return json.loads((folder / "config.json").read_text())["vocab_size"]
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(str(folder)).vocab_size


def recorded(file: str) -> dict[str, Any]:
    return json.loads(Path(file).read_text())


if __name__ == "__main__":
    main()
