"""Steps 3 and 4: what full fine-tuning, LoRA and QLoRA take, calculated and then counted."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conftest import same

DICE = random.Random()
RANK = 8
ALL_LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ADAPTER = "adapter_model.safetensors"


def test_memory_is_calculated(drive: Any, lab: Path, answered: Any) -> None:
    rank, targets = DICE.choice([2, 4, 12, 32]), DICE.sample(ALL_LINEAR, 3)
    cases: list[dict[str, Any]] = []
    wanted: list[Any] = []
    for config in (new_config(tied=True), new_config(tied=False)):
        cases += [
            {"call": "all_parameters", "config": config},
            {"call": "lora_parameters", "config": config, "rank": rank, "targets": targets},
        ]
        wanted += [all_parameters(config), lora_parameters(config, rank, targets)]
        for method in ("full", "lora", "qlora"):
            cases.append({"call": "training_bytes", "config": config, "method": method, "rank": rank})
            wanted.append(training_bytes(config, method, rank))
    for case, value, right in zip(cases, drive([{"module": "memory", **case} for case in cases]), wanted, strict=True):
        if isinstance(right, dict):
            value = value if isinstance(value, dict) else {}
            for part, size in right.items():
                assert same(value.get(part), size, 1e-6), (
                    f"training_bytes, {case['method']}: {part} is {value.get(part)}, not {size:.0f}"
                )
        else:
            assert value == right, f"{case['call']} of a model that you do not have is {value}, not {right}"
    large = json.loads((lab / "workspace" / "configs" / "llama-3.1-70b.json").read_text(encoding="utf-8"))
    every = all_parameters(large)
    answers = {
        f"{method}_70b": sum(training_bytes(large, method, 16).values()) / 1e9 for method in ("full", "lora", "qlora")
    }
    answers |= {"bytes_of_280gb": 280e9 / every, "bits_of_24gb": 8 * 24e9 / every}
    for name, right in answers.items():
        assert abs(answered(f"memory.{name}") - right) <= max(0.06, 0.003 * right), (
            f"memory.{name} in answers.yaml is not right"
        )


def test_methods_are_counted(workspace: Any, parameters: Mapping[str, Any], recorded: Any) -> None:
    record, config = recorded("methods"), config_of(workspace, parameters["model"])
    every, added = all_parameters(config), lora_parameters(config, RANK, ALL_LINEAR)
    linear = linear_parameters(config)
    weights = {"full": 4 * every, "lora": 4 * (every + added), "qlora": 4 * (every - linear) + linear / 2 + 4 * added}
    for name, size in weights.items():
        trained = every if name == "full" else added
        wanted = {
            "trainable": trained,
            "weight_bytes": size,
            "gradient_bytes": 4 * trained,
            "optimizer_bytes": 8 * trained,
        }
        for key, value in wanted.items():
            told = (record.get(name) or {}).get(key)
            assert same(told, value, 0.02), f"out/methods.json, {name}: {key} is {told}; this model has another number"


def test_adapters_have_learnt(workspace: Any, parameters: Mapping[str, Any], recorded: Any) -> None:
    lora, qlora = (workspace.read_bytes(f"out/{name}/{ADAPTER}") for name in ("lora", "qlora"))
    assert lora != qlora, "out/lora and out/qlora hold the same adapter"
    lab, seed = parameters["lab"], str(parameters["seed"])
    measure = (
        "python",
        "-I",
        "-B",
        f"{lab}/checks/measure.py",
        "methods",
        f"{lab}/workspace/data.py",
        seed,
        parameters["model"],
    )
    done = workspace.run(*measure, timeout=880)
    assert done.exit_code == 0, f"out/lora or out/qlora cannot be measured: {done.stderr.strip()[-200:]}"
    found, record = json.loads(done.stdout), recorded("methods")
    before = found["before"]["own"]
    for name in ("lora", "qlora"):
        own, strangers = found[name]["own"], found[name]["strangers"]
        assert own <= before / 2, (
            f"out/{name}: the loss on your chats is {own:.2f}, without it {before:.2f}; half is wanted"
        )
        assert own <= strangers / 2, (
            f"out/{name}: the loss on your chats is {own:.2f} and on strangers' {strangers:.2f}: it did not learn yours"
        )
        told = (record.get(name) or {}).get("last_loss")
        assert isinstance(told, float), f"out/methods.json, {name}: last_loss is {told}"
        assert abs(told - own) <= 0.2 + 0.5 * own, f"{name}: last_loss is {told:.2f}; out/{name} has {own:.2f}"


def new_config(*, tied: bool) -> dict[str, Any]:
    """A Llama of a size that nobody has; with a head_dim of its own or without."""
    heads, head = DICE.choice([4, 8, 12]), DICE.choice([32, 48, 64])
    made = {
        "hidden_size": heads * head,
        "intermediate_size": 64 * DICE.randint(5, 40),
        "num_hidden_layers": DICE.randint(2, 30),
        "num_attention_heads": heads,
        "num_key_value_heads": heads // DICE.choice([2, 4]),
        "vocab_size": DICE.randint(500, 50_000),
        "tie_word_embeddings": tied,
    }
    return {**made, "head_dim": head + 16} if tied else made


def config_of(workspace: Any, model: str) -> dict[str, Any]:
    """The configuration of the profile's model."""
    if model.startswith("/"):
        return workspace.read_json(f"{model}/config.json")
    show = f"from transformers import AutoConfig; print(AutoConfig.from_pretrained({model!r}).to_json_string(False))"
    return json.loads(workspace.run("python", "-I", "-c", show, timeout=120).stdout)


def matrices(config: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Inputs and outputs of the seven matrices of a block."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    head = config.get("head_dim") or hidden // config["num_attention_heads"]
    queries, keys = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
    sides = [
        (hidden, queries),
        (hidden, keys),
        (hidden, keys),
        (queries, hidden),
        (hidden, inner),
        (hidden, inner),
        (inner, hidden),
    ]
    return dict(zip(ALL_LINEAR, sides, strict=True))


def linear_parameters(config: Mapping[str, Any]) -> int:
    return int(config["num_hidden_layers"] * sum(rows * columns for rows, columns in matrices(config).values()))


def all_parameters(config: Mapping[str, Any]) -> int:
    """Embedding and head, blocks, norms; Qwen2 adds biases to q, k and v."""
    hidden, shapes = config["hidden_size"], matrices(config)
    biases = sum(shapes[name][1] for name in ALL_LINEAR[:3]) if config.get("model_type") == "qwen2" else 0
    embeddings = config["vocab_size"] * hidden * (1 if config["tie_word_embeddings"] else 2)
    return int(embeddings + linear_parameters(config) + config["num_hidden_layers"] * (biases + 2 * hidden) + hidden)


def lora_parameters(config: Mapping[str, Any], rank: int, targets: list[str]) -> int:
    return int(config["num_hidden_layers"] * rank * sum(sum(matrices(config)[name]) for name in targets))


def training_bytes(config: Mapping[str, Any], method: str, rank: int) -> dict[str, float]:
    """Mixed precision with AdamW; QLoRA as in Dettmers et al. 2023, section 3: blocks of 64, constants quantized in 256s."""
    every, added, linear = all_parameters(config), lora_parameters(config, rank, ALL_LINEAR), linear_parameters(config)
    if method == "full":
        return {"weights": 2 * every, "gradients": 2 * every, "optimizer": 12 * every}
    four_bits = linear / 2 + linear / 64 + 4 * linear / (64 * 256)
    base = 2 * every if method == "lora" else 2 * (every - linear) + four_bits
    return {"weights": base + 4 * added, "gradients": 4 * added, "optimizer": 8 * added}
