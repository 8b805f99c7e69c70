"""Writes answers.yaml from the base's configuration and the runs in out/. Only the solution has it: a learner works them out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import training
import yaml
from safetensors.numpy import load_file
from train_lora import ATTENTION, MLP
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig

OUT = Path("out")


def main() -> None:
    config = AutoConfig.from_pretrained(training.BASE)
    answers = {
        "predictions": {
            "rank_8_q_and_v": lora_parameters(config, 8, ["q_proj", "v_proj"]),
            "rank_2_all_linear": lora_parameters(config, 2, [*ATTENTION, *MLP]),
            "rank_16_all_linear": lora_parameters(config, 16, [*ATTENTION, *MLP]),
            "full": AutoModelForCausalLM.from_pretrained(training.BASE).num_parameters(),
        },
        "adapter": adapter_answers(),
        "observed": observed(),
        "memory": {"optimizer_bytes_per_parameter": 8, "full_7b_gigabytes": 7 * 16},
        "choices": {
            "forty_customers": {"method": "lora", "reason": "shared-base"},
            "new_language": {"method": "full", "reason": "too-much-to-learn"},
            "one_small_gpu": {"method": "lora", "reason": "optimizer-memory"},
        },
    }
    Path("answers.yaml").write_text(yaml.safe_dump(answers, sort_keys=False))


def lora_parameters(config: PretrainedConfig, rank: int, targets: list[str]) -> int:
    """rank × (inputs + outputs) for every adapted matrix."""
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    queries, keys = config.num_attention_heads * head, config.num_key_value_heads * head
    hidden, inner = config.hidden_size, config.intermediate_size
    sides = {
        "q_proj": hidden + queries,
        "k_proj": hidden + keys,
        "v_proj": hidden + keys,
        "o_proj": queries + hidden,
        "gate_proj": hidden + inner,
        "up_proj": hidden + inner,
        "down_proj": inner + hidden,
    }
    return config.num_hidden_layers * rank * sum(sides[target] for target in targets)


def adapter_answers() -> dict[str, Any]:
    """Scaling and update norm of out/adapter."""
    chosen = json.loads((OUT / "adapter" / "adapter_config.json").read_text())
    scaling = chosen["lora_alpha"] / chosen["r"]
    weights = load_file(OUT / "adapter" / "adapter_model.safetensors")
    a, b = (
        next(value for name, value in weights.items() if f".layers.0.self_attn.q_proj.lora_{side}." in name)
        for side in "AB"
    )
    update = float(scaling * np.linalg.norm(b @ a))
    return {"scaling": scaling, "alpha_for_rank_64": scaling * 64, "update_norm": update}


def observed() -> dict[str, str]:
    """What the experiments came to, when they were run."""
    file = OUT / "experiments.json"
    if not file.is_file():
        return {}
    runs = json.loads(file.read_text())
    ordered = sorted(runs, key=lambda name: runs[name]["last_loss"])
    return {"lowest_loss": ordered[0], "highest_loss": ordered[-1]}


if __name__ == "__main__":
    main()
