"""Writes answers.yaml from the model's configuration and the runs in out/. Only the solution has it: a learner works them out."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import yaml
from gguf_header import CONFIG

OUT = Path("out")
OTHER_BYTES = int(os.environ["OTHER_BYTES"])
BUDGET_PERCENT = float(os.environ["BUDGET_PERCENT"])
LEVELS = ("original", "int8", "int4")


def main() -> None:
    answers = {
        "predictions": predictions(),
        "rounding": rounding(read("rounding.json")),
        "cost": cost(read("comparison.json")),
        "load": load(read("load.json")),
        "choices": {"two_hundred_users": {"engine": "vllm"}, "field_laptop": {"engine": "llama.cpp"}},
    }
    Path("answers.yaml").write_text(yaml.safe_dump(answers, sort_keys=False))


def read(name: str) -> dict[str, Any]:
    """A record of out/; empty when that step was left out."""
    return json.loads((OUT / name).read_text()) if (OUT / name).is_file() else {}


def predictions() -> dict[str, int]:
    """Linear layers in 8 or 4 bits with their scales, everything else as it was."""
    hidden, inner, layers = CONFIG["hidden_size"], CONFIG["intermediate_size"], CONFIG["num_hidden_layers"]
    heads, kv_heads = CONFIG["num_attention_heads"], CONFIG["num_key_value_heads"]
    head = CONFIG.get("head_dim") or hidden // heads
    rows = [heads * head, kv_heads * head, kv_heads * head, hidden, inner, inner, hidden]
    columns = [hidden, hidden, hidden, heads * head, hidden, hidden, inner]
    linear = layers * sum(r * c for r, c in zip(rows, columns, strict=True))
    embeddings = CONFIG["vocab_size"] * hidden * (1 if CONFIG["tie_word_embeddings"] else 2)
    biases = layers * sum(rows[:3]) if CONFIG["model_type"] == "qwen2" else 0
    other = OTHER_BYTES * (embeddings + biases + hidden * (2 * layers + 1))
    return {
        "linear_weights": linear,
        "original_bytes": OTHER_BYTES * linear + other,
        "int8_bytes": linear + 4 * layers * sum(rows) + other,
        "int4_bytes": linear // 2 + 4 * linear // 64 + other,
    }


def rounding(found: dict[str, Any]) -> dict[str, Any]:
    if not found:
        return {}
    return {"rms_ratio": found["per_tensor"]["rms"] / found["per_channel"]["rms"], "cause": "outlier-channel"}


def cost(found: dict[str, Any]) -> dict[str, Any]:
    if not found:
        return {}
    more = {name: 100 * (found[name]["perplexity"] / found["original"]["perplexity"] - 1) for name in LEVELS}
    return {
        "int8_perplexity_percent": more["int8"],
        "int4_perplexity_percent": more["int4"],
        "smallest_within_budget": min(
            (name for name in LEVELS if more[name] <= BUDGET_PERCENT), key=lambda name: found[name]["bytes"]
        ),
        "fastest": max(LEVELS, key=lambda name: found[name]["tokens_per_second"]),
        "why_not_faster": "dequantised-first",
    }


def load(found: dict[str, Any]) -> dict[str, Any]:
    if not found:
        return {}
    one, many = found["1"], found["16"]
    return {
        "throughput_ratio": many["tokens_per_second"] / one["tokens_per_second"],
        "ttft_ratio": many["ttft_p50_s"] / one["ttft_p50_s"],
        "cause": "weights-read-once-a-step",
    }


if __name__ == "__main__":
    main()
