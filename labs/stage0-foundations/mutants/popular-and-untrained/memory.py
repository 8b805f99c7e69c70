"""Step 3: what training a model takes, calculated from its config.json.

labctl exec stage0-foundations -- python memory.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Config = dict[str, Any]
ALL_LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def all_parameters(config: Config) -> int:
    """Every weight of a Llama: embedding, blocks (seven matrices and two norms each), last norm, and the head unless tied.

    A norm has hidden_size weights; there are no biases. q_proj has num_attention_heads · head_dim outputs, k_proj and v_proj
    num_key_value_heads · head_dim. Where config has no head_dim, it is hidden_size / num_attention_heads.
    """
    hidden = config["hidden_size"]
    block = sum(rows * columns for rows, columns in matrices(config).values()) + 2 * hidden
    embeddings = config["vocab_size"] * hidden * (1 if config["tie_word_embeddings"] else 2)
    return embeddings + config["num_hidden_layers"] * block + hidden


def matrices(config: Config) -> dict[str, tuple[int, int]]:
    """Inputs and outputs of the seven matrices of a block."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    head = config.get("head_dim") or hidden // config["num_attention_heads"]
    queries, keys = config["num_attention_heads"] * head, config["num_attention_heads"] * head
    sides = [(hidden, queries), (hidden, keys), (hidden, keys), (queries, hidden)]
    return dict(zip(ALL_LINEAR, [*sides, (hidden, inner), (hidden, inner), (inner, hidden)]))


def lora_parameters(config: Config, rank: int, targets: list[str]) -> int:
    """The weights that LoRA adds: for an adapted matrix rank · (inputs + outputs), in every block."""
    return config["num_hidden_layers"] * rank * sum(sum(matrices(config)[target]) for target in targets)


def training_bytes(config: Config, method: str, rank: int = 16) -> dict[str, float]:
    """Bytes for "weights", "gradients" and "optimizer"; `method` is "full", "lora" or "qlora". Activations are left out.

    full    weights and gradients 2 bytes each; the optimizer keeps a 32-bit copy of the weights and two 32-bit moments
    lora    the base in 2 bytes, frozen; LoRA on all seven matrices with weights, gradients and two moments in 32 bits
    qlora   like lora, but the seven matrices of each block are kept in 4 bits, plus one 8-bit constant for every 64 weights
            and one 32-bit constant for every 256 of those; embedding, head and norms stay in 2 bytes
    """
    every = all_parameters(config)
    if method == "full":
        return {"weights": 2 * every, "gradients": 2 * every, "optimizer": 12 * every}
    added = lora_parameters(config, rank, ALL_LINEAR)
    base = 2 * every
    if method == "qlora":
        linear = config["num_hidden_layers"] * sum(rows * columns for rows, columns in matrices(config).values())
        bits = 4 + 8 / 64 + 32 / (64 * 256)
        base = 2 * (every - linear) + linear * bits / 8
    return {"weights": base + 4 * added, "gradients": 4 * added, "optimizer": 8 * added}


def main() -> None:
    for file in sorted(Path("configs").glob("*.json")):
        config = json.loads(file.read_text())
        print(f"{file.stem}: {all_parameters(config):,} parameters")
        for method in ("full", "lora", "qlora"):
            parts = training_bytes(config, method)
            shown = ", ".join(f"{name} {size / 1e9:.1f}" for name, size in parts.items())
            print(f"  {method:6s} {sum(parts.values()) / 1e9:8.1f} GB ({shown})")


if __name__ == "__main__":
    main()
