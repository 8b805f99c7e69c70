"""What of the lab's acceptance needs arithmetic: parameter counts, update norms, records against the files they speak of.

Run outside the session. Nothing a learner wrote is executed here; files are read as data.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors.numpy import load

from labctl.checks.answers import is_open, to_number

ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
ALL_LINEAR = [*ATTENTION, "gate_proj", "up_proj", "down_proj"]
RUNS = {  # name: rank, alpha, targets
    "rank-2": (2, 4, ALL_LINEAR),
    "rank-16": (16, 32, ALL_LINEAR),
    "attention-only": (16, 32, ATTENTION),
    "alpha-1": (16, 1, ALL_LINEAR),
}
ADAM_BYTES = 8  # two moments, 32-bit floats


@pytest.fixture(scope="module")
def config(workspace: Any, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The base's configuration, from the model itself."""
    base = parameters["base"]
    if base.startswith("/"):
        return workspace.read_json(f"{base}/config.json")
    show = f"from transformers import AutoConfig; print(AutoConfig.from_pretrained({base!r}).to_json_string(False))"
    return json.loads(workspace.run("python", "-I", "-c", show, timeout=60).stdout)


@pytest.fixture(scope="module")
def answers(workspace: Any) -> dict[str, Any]:
    given = yaml.safe_load(workspace.read_text("answers.yaml"))
    assert isinstance(given, dict), "answers.yaml has lost its form; `labctl reset` brings it back"
    return given


@pytest.fixture(scope="module")
def adapter_seen(workspace: Any, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What out/adapter does, by measure of evaluate.py."""
    return evaluated(workspace, parameters, "loss", "exact")


@pytest.fixture(scope="module")
def others_seen(workspace: Any, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What the runs of the experiment and the whole model do."""
    return evaluated(workspace, parameters, "runs", "full")


def evaluated(workspace: Any, parameters: Mapping[str, Any], *measures: str) -> dict[str, Any]:
    script = f"{parameters['lab']}/checks/evaluate.py"
    done = workspace.run("python", "-I", "-B", script, parameters["base"], *measures, timeout=600)
    assert done.exit_code == 0, f"evaluate.py could not measure {', '.join(measures)}: {done.stderr[-400:]}"
    return json.loads(done.stdout.splitlines()[-1])


def test_loss_falls(adapter_seen: dict[str, Any]) -> None:
    assert adapter_seen["loss"]["good"], adapter_seen["loss"]["told"]


def test_adapter_knows_held_out_tickets(adapter_seen: dict[str, Any]) -> None:
    assert adapter_seen["exact"]["good"], adapter_seen["exact"]["told"]


def test_records_of_the_runs_agree(others_seen: dict[str, Any]) -> None:
    assert others_seen["runs"]["good"], others_seen["runs"]["told"]


def test_full_model_knows_held_out_tickets(others_seen: dict[str, Any]) -> None:
    assert others_seen["full"]["good"], others_seen["full"]["told"]


def test_adapter_is_small(workspace: Any, config: dict[str, Any], parameters: Mapping[str, Any]) -> None:
    weights = load(workspace.read_bytes("out/adapter/adapter_model.safetensors"))
    size, limit = sum(tensor.size for tensor in weights.values()), float(parameters["max_trainable_percent"])
    percent = 100 * size / (size + all_parameters(config))
    assert percent <= limit, f"out/adapter has {size:,} parameters, {percent:.2f}% of all; wanted at most {limit:g}%"


def test_held_out_tickets_are_answered(lab: Path, chat: Any) -> None:
    rows = [json.loads(line) for line in (lab / "checks" / "heldout.jsonl").read_text(encoding="utf-8").splitlines()]
    told = [chat(row["prompt"], service="vllm", model="triage", max_tokens=48).text.strip() for row in rows]
    wrong = [text for row, text in zip(rows, told, strict=True) if text != row["answer"]]
    assert len(wrong) <= len(rows) / 10, (
        f"{len(wrong)} of {len(rows)} held-out tickets are triaged wrongly; one reply was {wrong[0][:200]!r}"
    )


def test_parameters_are_predicted(config: dict[str, Any], answers: dict[str, Any]) -> None:
    wanted = {
        "rank_8_q_and_v": lora_parameters(config, 8, ["q_proj", "v_proj"]),
        "rank_2_all_linear": lora_parameters(config, 2, ALL_LINEAR),
        "rank_16_all_linear": lora_parameters(config, 16, ALL_LINEAR),
        "full": all_parameters(config),
    }
    given = answered(answers, "predictions", wanted)
    wrong = [key for key, value in given.items() if number(value) != wanted[key]]
    assert not wrong, f"predictions.{', predictions.'.join(wrong)} in answers.yaml: not the number of parameters"


def test_scaling_is_understood(workspace: Any, answers: dict[str, Any]) -> None:
    chosen = workspace.read_json("out/adapter/adapter_config.json")
    scaling = chosen["lora_alpha"] / chosen["r"]
    a, b = first_query_update(load(workspace.read_bytes("out/adapter/adapter_model.safetensors")))
    wanted = {
        "scaling": scaling,
        "alpha_for_rank_64": 64 * scaling,
        "update_norm": scaling * float(np.linalg.norm(b @ a)),
    }
    given = answered(answers, "adapter", wanted)
    wrong = [key for key, value in given.items() if not near(number(value), wanted[key])]
    assert not wrong, f"adapter.{', adapter.'.join(wrong)} in answers.yaml: does not agree with your out/adapter"


@pytest.mark.parametrize("name", RUNS)
def test_experiment_was_run(workspace: Any, config: dict[str, Any], name: str) -> None:
    rank, alpha, targets = RUNS[name]
    record = experiments(workspace).get(name)
    assert isinstance(record, dict), f"out/experiments.json has no run {name!r}"
    chosen = workspace.read_json(f"out/{name}/adapter_config.json")
    weights = load(workspace.read_bytes(f"out/{name}/adapter_model.safetensors"))
    size = sum(tensor.size for tensor in weights.values())
    made = (chosen["r"], chosen["lora_alpha"], sorted(chosen["target_modules"]))
    assert made == (rank, alpha, sorted(targets)), f"out/{name} was made with r, alpha, targets {made}"
    assert size == lora_parameters(config, rank, targets), f"out/{name} holds {size:,} parameters"
    recorded = record.get("trainable_parameters")
    assert recorded == size, f"{name}: out/experiments.json says {recorded} parameters, its adapter holds {size:,}"
    logged = last_loss(workspace.read_json(f"out/{name}/trainer_state.json"))
    assert record.get("last_loss") == logged, (
        f"{name}: last_loss is {record.get('last_loss')}, its trainer logged {logged}"
    )


def test_experiments_are_read_right(workspace: Any, answers: dict[str, Any]) -> None:
    runs = experiments(workspace)
    losses = {name: number((runs.get(name) or {}).get("last_loss")) for name in RUNS}
    missing = [name for name, loss in losses.items() if loss is None]
    assert not missing, f"out/experiments.json has no last_loss of {', '.join(missing)}"
    wanted = {"lowest_loss": min(losses, key=losses.get), "highest_loss": max(losses, key=losses.get)}
    for key, value in answered(answers, "observed", wanted).items():
        assert value == wanted[key], f"observed.{key} in answers.yaml is {value!r}; your runs say otherwise"


def test_base_was_left_alone(workspace: Any, parameters: Mapping[str, Any]) -> None:
    record = workspace.read_json("out/lora.json")
    for key in ("base_sha256_before", "base_sha256_after"):
        assert isinstance(record.get(key), str), f"out/lora.json has no {key}"
    now = workspace.run(
        "python", "-I", "-B", f"{parameters['lab']}/checks/base_sha256.py", parameters["base"], timeout=120
    )
    assert record["base_sha256_before"] == record["base_sha256_after"], "the base's weights changed during your run"
    assert now.stdout.split() == [record["base_sha256_after"]], "the base's weights are not those of your run any more"


def test_comparison_agrees_with_the_files(workspace: Any, config: dict[str, Any]) -> None:
    compared = workspace.read_json("out/comparison.json")
    adapter = load(workspace.read_bytes("out/adapter/adapter_model.safetensors"))
    sizes = {"lora": sum(tensor.size for tensor in adapter.values()), "full": all_parameters(config)}
    for name, folder in {"lora": "adapter", "full": "full"}.items():
        run = compared.get(name) or {}
        disk = sum(info.size_bytes for info in workspace.find(f"out/{folder}/*.safetensors"))
        assert run.get("trainable_parameters") == sizes[name], (
            f"{name}: trainable_parameters is not what out/{folder} holds"
        )
        assert run.get("disk_bytes") == disk, f"{name}: disk_bytes is not the {disk:,} bytes of weights in out/{folder}"
        per_parameter = (number(run.get("optimizer_bytes")) or 0) / sizes[name]
        assert near(per_parameter, ADAM_BYTES), (
            f"{name}: {per_parameter:.1f} optimizer bytes a parameter; was it measured?"
        )
        assert (number(run.get("peak_memory_mib")) or 0) > 4 * sizes[name] / 2**20, (
            f"{name}: no peak memory was measured"
        )
        assert 0 < (number(run.get("last_loss")) or 0) < (number(run.get("first_loss")) or 0) / 2, (
            f"{name}: no falling loss"
        )


def lora_parameters(config: Mapping[str, Any], rank: int, targets: Sequence[str]) -> int:
    """Hu et al. 2021, section 4.1: an update of an m × n matrix is B (m × r) times A (r × n)."""
    return config["num_hidden_layers"] * sum(rank * sum(matrices(config)[name]) for name in targets)


def all_parameters(config: Mapping[str, Any]) -> int:
    """Every weight of a Llama-like model: embedding (and head, unless tied), blocks, norms; Qwen2 adds biases to q, k, v."""
    shapes, hidden = matrices(config), config["hidden_size"]
    biases = sum(shapes[name][1] for name in ATTENTION[:3]) if config["model_type"] == "qwen2" else 0
    block = sum(rows * columns for rows, columns in shapes.values()) + biases + 2 * hidden
    embeddings = config["vocab_size"] * hidden * (1 if config["tie_word_embeddings"] else 2)
    return embeddings + config["num_hidden_layers"] * block + hidden


def matrices(config: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Inputs and outputs of each linear layer of a block."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    head = config.get("head_dim") or hidden // config["num_attention_heads"]
    queries, keys = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
    attention = {"q_proj": (hidden, queries), "k_proj": (hidden, keys), "v_proj": (hidden, keys)}
    mlp = {"gate_proj": (hidden, inner), "up_proj": (hidden, inner), "down_proj": (inner, hidden)}
    return {**attention, "o_proj": (queries, hidden), **mlp}


def first_query_update(weights: Mapping[str, Any]) -> tuple[Any, Any]:
    """A and B of q_proj in layer 0."""
    found = [
        tensor
        for side in "AB"
        for name, tensor in weights.items()
        if f".layers.0.self_attn.q_proj.lora_{side}." in name
    ]
    assert len(found) == 2, "out/adapter does not adapt q_proj of layer 0"
    return found[0], found[1]


def experiments(workspace: Any) -> dict[str, Any]:
    runs = workspace.read_json("out/experiments.json")
    assert isinstance(runs, dict), "out/experiments.json: wanted an object with one entry a run"
    return runs


def last_loss(state: Mapping[str, Any]) -> float:
    """The last loss in a trainer's own log."""
    return [entry["loss"] for entry in state["log_history"] if "loss" in entry][-1]


def answered(answers: Mapping[str, Any], part: str, keys: Iterable[str]) -> dict[str, Any]:
    """The answers under `part`; the test fails while one of them is open."""
    given = answers.get(part)
    values = {key: given.get(key) if isinstance(given, dict) else None for key in keys}
    unanswered = [f"{part}.{key}" for key, value in values.items() if is_open(value)]
    assert not unanswered, f"not answered yet in answers.yaml: {', '.join(unanswered)}"
    return values


def number(value: Any) -> float | None:
    found = to_number(value)
    return found if found is not None and math.isfinite(found) else None


def near(value: float | None, wanted: float) -> bool:
    return value is not None and abs(value - wanted) <= 0.02 * abs(wanted)
