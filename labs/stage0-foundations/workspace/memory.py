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
    raise NotImplementedError("step 3: all_parameters in memory.py is yours to write")


def lora_parameters(config: Config, rank: int, targets: list[str]) -> int:
    """The weights that LoRA adds: for an adapted matrix rank · (inputs + outputs), in every block."""
    raise NotImplementedError("step 3: lora_parameters in memory.py is yours to write")


def training_bytes(config: Config, method: str, rank: int = 16) -> dict[str, float]:
    """Bytes for "weights", "gradients" and "optimizer"; `method` is "full", "lora" or "qlora". Activations are left out.

    full    weights and gradients 2 bytes each; the optimizer keeps a 32-bit copy of the weights and two 32-bit moments
    lora    the base in 2 bytes, frozen; LoRA on all seven matrices with weights, gradients and two moments in 32 bits
    qlora   like lora, but the seven matrices of each block are kept in 4 bits, plus one 8-bit constant for every 64 weights
            and one 32-bit constant for every 256 of those; embedding, head and norms stay in 2 bytes
    """
    raise NotImplementedError("step 3: training_bytes in memory.py is yours to write")


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
