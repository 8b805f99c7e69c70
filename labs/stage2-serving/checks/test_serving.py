"""What of the lab's acceptance needs arithmetic, drivers in the session, or both engines at once.

Run outside the session. Nothing a learner wrote is executed here; files are read as data.
"""

from __future__ import annotations

import json
import math
import random
import statistics
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from labctl.checks.answers import is_open, to_number

LEVELS = ("1", "4", "16")
REQUESTS = 16
GAIN = 1.3
ERRORS = ("largest_predicted", "largest", "rms")


def test_sizes_are_predicted(workspace: Any, parameters: Mapping[str, Any]) -> None:
    wanted = sizes(configuration(workspace, parameters["base"]), int(parameters["other_bytes"]))
    given = answered(workspace, "predictions", list(wanted))
    wrong = [f"predictions.{key}" for key, value in given.items() if not near(value, wanted[key], 0.01)]
    assert not wrong, f"{', '.join(wrong)} in answers.yaml: more than 1 % off"


class TestRounding:
    """The learner's functions, on matrices that are made up now."""

    @pytest.fixture(scope="class")
    def matrices(self) -> list[list[list[float]]]:
        return [matrix(8, 24), matrix(13, 5, outlier=40.0), [[0.0] * 6, *matrix(3, 6)], matrix(1, 9)]

    @pytest.fixture(scope="class")
    def made(self, workspace: Any, parameters: Mapping[str, Any], matrices: list[Any]) -> list[dict[str, Any]]:
        given = {"nonce": uuid.uuid4().hex, "matrices": matrices}
        command = ["python", "-B", f"{parameters['lab']}/checks/drive_rounding.py"]
        result = workspace.run(*command, stdin=json.dumps(given), timeout=120)
        assert result.exit_code == 0, f"rounding.py ended with {last_line(result.stderr)}"
        told = json.loads(last_line(result.stdout))
        assert told["nonce"] == given["nonce"], "rounding.py prints while it is imported; keep that in main()"
        return told["made"]

    @pytest.mark.parametrize("per_channel", [False, True])
    def test_scales(self, matrices: list[Any], made: list[Any], per_channel: bool) -> None:
        for w, seen in zip(matrices, made, strict=True):
            wanted, found = scales(w, per_channel), seen[str(per_channel)]
            assert found["scale_shape"] == [len(wanted), 1], (
                f"scales(per_channel={per_channel}) of a {len(w)} × {len(w[0])} matrix has shape {found['scale_shape']}"
            )
            assert all(near(a, b, 1e-4) for a, b in zip(found["scale"], wanted, strict=True)), (
                f"scales(per_channel={per_channel}): the largest weight of each does not become 127"
            )

    @pytest.mark.parametrize("per_channel", [False, True])
    def test_integers(self, matrices: list[Any], made: list[Any], per_channel: bool) -> None:
        for w, seen in zip(matrices, made, strict=True):
            found, steps = seen[str(per_channel)], scales(w, per_channel)
            assert found["dtype"] == "int8", f"quantize gives {found['dtype']}, not int8"
            for row, (weights, integers) in enumerate(zip(w, found["integers"], strict=True)):
                step = steps[row] if per_channel else steps[0]
                off = max(abs(q - x / step) for x, q in zip(weights, integers, strict=True))
                assert off <= 0.501, (
                    f"quantize is {off:.2f} steps off the weight; to the nearest is at most half a step"
                )

    def test_back(self, matrices: list[Any], made: list[Any]) -> None:
        for w, seen in zip(matrices, made, strict=True):
            steps = scales(w, True)
            for row, (integers, back) in enumerate(zip(seen["True"]["integers"], seen["True"]["back"], strict=True)):
                assert all(near(x, q * steps[row], 1e-3) for q, x in zip(integers, back, strict=True)), (
                    "dequantize does not give the integers times their row's scale"
                )

    @pytest.mark.parametrize("per_channel", [False, True])
    def test_largest_error(self, matrices: list[Any], made: list[Any], per_channel: bool) -> None:
        for w, seen in zip(matrices, made, strict=True):
            wanted = max(scales(w, per_channel)) / 2
            assert near(seen[str(per_channel)]["largest"], wanted, 1e-3), (
                f"largest_error(per_channel={per_channel}) is not the most that rounding to the nearest can be off by"
            )


def test_errors_of_the_models_matrix(workspace: Any, parameters: Mapping[str, Any]) -> None:
    recorded = record(workspace, "out/rounding.json", step=2)
    measured = driven(workspace, parameters, "rounding", parameters["base"])
    for way, wanted in measured.items():
        for key in ERRORS:
            found = (recorded.get(way) or {}).get(key)
            assert near(found, wanted[key], 0.01), (
                f"{way}.{key} in out/rounding.json is {found}; measured again it is not"
            )
    ratio = answered(workspace, "rounding", ["rms_ratio"])["rms_ratio"]
    wanted_ratio = measured["per_tensor"]["rms"] / measured["per_channel"]["rms"]
    assert near(ratio, wanted_ratio, 0.03), "rounding.rms_ratio in answers.yaml does not agree with out/rounding.json"


def test_cost_is_as_recorded(workspace: Any, parameters: Mapping[str, Any]) -> None:
    recorded = record(workspace, "out/comparison.json", step=3)
    missing = [name for name in ("original", "int8", "int4") if not isinstance(recorded.get(name), dict)]
    assert not missing, f"out/comparison.json has no {', '.join(missing)}"
    measured = driven(workspace, parameters, "cost", parameters["base"], parameters["questions"])
    for name, seen in measured.items():
        assert "error" not in seen, f"{name} does not load: {seen.get('error')}"
        found = recorded[name]
        for key, tolerance in {"bytes": 0.0, "perplexity": 0.005, "asked": 0.0}.items():
            assert near(found.get(key), seen[key], tolerance), (
                f"{name}: {key} is {found.get(key)} in out/comparison.json; measured again it is not"
            )
        assert abs(number(found.get("right")) - seen["right"]) <= 0.02 * seen["asked"], (
            f"{name}: right is {found.get('right')} in out/comparison.json; measured again it is not"
        )
        assert 0 < number(found.get("tokens_per_second")) < 1e6, (
            f"{name}: tokens_per_second is {found.get('tokens_per_second')}"
        )
    speeds = {found["tokens_per_second"] for found in (recorded[name] for name in measured)}
    assert len(speeds) == len(measured), "no two models take the same time to the last digit; were all measured?"


def test_cost_is_read_right(workspace: Any, parameters: Mapping[str, Any]) -> None:
    found = record(workspace, "out/comparison.json", step=3)
    percent = {name: 100 * (found[name]["perplexity"] / found["original"]["perplexity"] - 1) for name in found}
    keys = ["int8_perplexity_percent", "int4_perplexity_percent", "smallest_within_budget", "fastest"]
    given = answered(workspace, "cost", keys)
    for name in ("int8", "int4"):
        off = abs(number(given[f"{name}_perplexity_percent"]) - percent[name])
        assert off <= max(0.02, 0.05 * abs(percent[name])), (
            f"cost.{name}_perplexity_percent in answers.yaml does not agree with out/comparison.json"
        )
    smallest = min(
        (name for name in found if percent[name] <= float(parameters["budget"])), key=lambda name: found[name]["bytes"]
    )
    fastest = max(found, key=lambda name: found[name]["tokens_per_second"])
    for key, wanted in {"smallest_within_budget": smallest, "fastest": fastest}.items():
        assert str(given[key]).strip() == wanted, (
            f"cost.{key} in answers.yaml is {given[key]!r}; your numbers say otherwise"
        )


class TestLoad:
    """A record of load, against what the server knows of it."""

    @pytest.fixture(scope="class")
    def load(self, workspace: Any) -> dict[str, Any]:
        found = record(workspace, "out/load.json", step=4)
        for level in LEVELS:
            requests = (found.get(level) or {}).get("requests") or []
            assert len(requests) >= REQUESTS, f"out/load.json has no {REQUESTS} requests at {level} at a time"
            for request in requests:
                first, total, tokens = (number(request.get(key)) for key in ("ttft_s", "total_s", "tokens"))
                assert 0 < first <= total < math.inf, f"{level} at a time: {request} cannot be"
                assert 0 < tokens < math.inf, f"{level} at a time: {request} has no tokens"
        return found

    def test_requests_are_known_to_the_server(self, load: dict[str, Any], service: Any) -> None:
        ids = [str(request.get("id")) for level in LEVELS for request in load[level]["requests"]]
        assert len(set(ids)) == len(ids), "out/load.json has the same request twice"
        log = service("vllm").log
        unknown = [name for name in ids if f"Received request {name}" not in log]
        assert not unknown, (
            f"{len(unknown)} of {len(ids)} requests are not in vLLM's log, for example {unknown[0][:60]!r}"
        )

    def test_counters_agree(self, load: dict[str, Any]) -> None:
        for level in LEVELS:
            told, requests = load[level], load[level]["requests"]
            grown = {name: told["after"][name] - told["before"][name] for name in told["after"]}
            tokens = sum(request["tokens"] for request in requests)
            assert near(grown.get("vllm:generation_tokens_total"), tokens, 0.02), (
                f"{level} at a time: vLLM generated {grown.get('vllm:generation_tokens_total')} tokens, the record has {tokens}"
            )
            assert near(grown.get("vllm:request_success_total"), len(requests), 0.02), (
                f"{level} at a time: vLLM finished {grown.get('vllm:request_success_total')} requests, not {len(requests)}"
            )

    def test_the_server_has_generated_as_much(self, load: dict[str, Any], service: Any) -> None:
        lines = service("vllm").get("/metrics", timeout=60).text.splitlines()
        now = sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("vllm:generation_tokens_total"))
        told = sum(request["tokens"] for level in LEVELS for request in load[level]["requests"])
        assert now >= told, (
            f"vLLM has generated {now:.0f} tokens since it started, the record has {told}; run load.py again"
        )

    def test_figures_follow_from_the_requests(self, load: dict[str, Any]) -> None:
        for level in LEVELS:
            told, requests = load[level], load[level]["requests"]
            tokens, longest = sum(r["tokens"] for r in requests), max(r["total_s"] for r in requests)
            at_least = sum(r["total_s"] for r in requests) / int(level)
            assert told["seconds"] >= 0.95 * max(longest, at_least), (
                f"{level} at a time: {told['seconds']} s is too little"
            )
            assert near(told["tokens_per_second"], tokens / told["seconds"], 0.01), (
                f"{level} at a time: tokens_per_second"
            )
            median = statistics.median(r["ttft_s"] for r in requests)
            assert near(told["ttft_p50_s"], median, 0.01), f"{level} at a time: ttft_p50_s is not the median"

    def test_requests_ran_together(self, load: dict[str, Any]) -> None:
        one, many = load["1"], load["16"]
        together = {level: in_flight(load[level]) for level in ("1", "16")}
        assert together["1"] <= 1.05, (
            f"{together['1']:.2f} requests were under way on average when it was to be one at a time"
        )
        assert together["16"] >= 8, f"at 16 at a time {together['16']:.2f} requests were under way on average; wanted 8"
        ratio = many["tokens_per_second"] / one["tokens_per_second"]
        assert ratio >= GAIN, (
            f"16 at a time gave {ratio:.2f} times the tokens a second of one at a time; wanted {GAIN}. "
            "If other programs keep the machine busy, run load.py again when they rest"
        )


def in_flight(level: Mapping[str, Any]) -> float:
    """How many requests were under way on average, by Little's law. vLLM's gauge of running ones is zero whenever its engine
    is done before its server has passed the tokens on, as it is with a small model on a busy machine."""
    return float(sum(request["total_s"] for request in level["requests"]) / level["seconds"])


def test_load_is_read_right(workspace: Any) -> None:
    found = record(workspace, "out/load.json", step=4)
    wanted = {
        "throughput_ratio": found["16"]["tokens_per_second"] / found["1"]["tokens_per_second"],
        "ttft_ratio": found["16"]["ttft_p50_s"] / found["1"]["ttft_p50_s"],
    }
    for key, value in answered(workspace, "load", list(wanted)).items():
        assert near(value, wanted[key], 0.03), f"load.{key} in answers.yaml does not agree with out/load.json"


class TestEngines:
    """Two engines, one model."""

    def test_the_file_is_served(self, workspace: Any, service: Any, parameters: Mapping[str, Any]) -> None:
        config = configuration(workspace, parameters["base"])
        told = service("llama").get("/v1/models", timeout=60).json()["data"][0]["meta"]
        wanted = sizes(config, 1)["original_bytes"]
        assert near(told.get("n_params"), wanted, 0.001), (
            f"llama serves {told.get('n_params')} parameters, not {wanted}"
        )
        size = workspace.find("out/model.gguf")[0].size_bytes
        assert told.get("size", 0) <= size, "llama serves another file than out/model.gguf"

    def test_same_answers(self, lab: Path, chat: Any, parameters: Mapping[str, Any]) -> None:
        lines = (lab / "checks" / parameters["questions"]).read_text(encoding="utf-8").splitlines()
        prompts = [json.loads(line)["prompt"] for line in random.SystemRandom().sample(lines, 10)]
        told = [ask_both(chat, prompt) for prompt in prompts]
        same = sum(vllm == llama for vllm, llama in told)
        different = next((pair for pair in told if pair[0] != pair[1]), ("", ""))
        assert same >= float(parameters["agreement"]) * len(told), (
            f"{same} of {len(told)} answers agree; to one question vLLM said {different[0][:80]!r}, llama.cpp {different[1][:80]!r}"
        )

    def test_record_agrees(self, workspace: Any, chat: Any) -> None:
        rows = record(workspace, "out/engines.json", step=5, kind=list)
        assert len(rows) >= 10, f"out/engines.json has {len(rows)} questions; wanted at least 10"
        for row in random.SystemRandom().sample(rows, 3):
            for engine in ("vllm", "llama"):
                now = chat(row["prompt"], service=engine, model="base", max_tokens=48).text.strip()
                assert same_start(str(row.get(engine)), now), (
                    f"out/engines.json has {str(row.get(engine))[:80]!r} of {engine}; asked again it says {now[:80]!r}"
                )


def ask_both(chat: Any, prompt: str) -> tuple[str, str]:
    vllm, llama = (chat(prompt, service=name, model="base", max_tokens=16).text.strip() for name in ("vllm", "llama"))
    return vllm, llama


def same_start(recorded: str, now: str) -> bool:
    """Floating-point sums depend on what else is in the batch; late in an answer another word may win."""
    return bool(now) and recorded.strip()[:12] == now[:12]


def sizes(config: Mapping[str, Any], other_bytes: int) -> dict[str, int]:
    """Linear layers inside the blocks quantised, everything else as it was. Scales: LLM.int8() one a row, NF4 one in 64."""
    hidden, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    head = config.get("head_dim") or hidden // config["num_attention_heads"]
    queries, keys = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
    shapes = [(queries, hidden), (keys, hidden), (keys, hidden), (hidden, queries)]
    shapes += [(inner, hidden), (inner, hidden), (hidden, inner)]
    linear, rows = layers * sum(r * c for r, c in shapes), layers * sum(r for r, _ in shapes)
    biases = layers * (queries + 2 * keys) if config["model_type"] == "qwen2" else 0
    embeddings = config["vocab_size"] * hidden * (1 if config["tie_word_embeddings"] else 2)
    other = other_bytes * (embeddings + biases + hidden * (2 * layers + 1))
    return {
        "linear_weights": linear,
        "original_bytes": other_bytes * linear + other,
        "int8_bytes": linear + 4 * rows + other,
        "int4_bytes": linear // 2 + linear // 16 + other,
    }


def configuration(workspace: Any, base: str) -> dict[str, Any]:
    if base.startswith("/"):
        return workspace.read_json(f"{base}/config.json")
    show = f"from transformers import AutoConfig; print(AutoConfig.from_pretrained({base!r}).to_json_string(False))"
    return json.loads(workspace.run("python", "-I", "-c", show, timeout=100).stdout)


def driven(workspace: Any, parameters: Mapping[str, Any], *arguments: str) -> dict[str, Any]:
    """What measure.py of this folder finds in the session."""
    driver = f"{parameters['lab']}/checks/measure.py"
    result = workspace.run("python", "-I", "-B", driver, *arguments, timeout=450)
    assert result.exit_code == 0, f"could not be measured: {last_line(result.stderr)}"
    return json.loads(last_line(result.stdout))


def record(workspace: Any, path: str, *, step: int, kind: type = dict) -> Any:
    assert workspace.find(path), f"there is no {path} yet (step {step})"
    found = workspace.read_json(path)
    assert isinstance(found, kind), f"{path} is no JSON {'object' if kind is dict else 'list'}"
    return found


def answered(workspace: Any, part: str, keys: list[str]) -> dict[str, Any]:
    """The answers under `part`; the test fails while one of them is open."""
    given = yaml.safe_load(workspace.read_text("answers.yaml"))
    assert isinstance(given, dict), "answers.yaml has lost its form; `labctl reset` brings it back"
    section = given.get(part)
    values = {key: section.get(key) if isinstance(section, dict) else None for key in keys}
    unanswered = [f"{part}.{key}" for key, value in values.items() if is_open(value)]
    assert not unanswered, f"not answered yet in answers.yaml: {', '.join(unanswered)}"
    return values


def matrix(rows: int, columns: int, *, outlier: float = 1.0) -> list[list[float]]:
    """Random weights; the first row `outlier` times larger."""
    draw = random.SystemRandom()
    return [[(outlier if row == 0 else 1.0) * draw.gauss(0, 0.05) for _ in range(columns)] for row in range(rows)]


def scales(w: list[list[float]], per_channel: bool) -> list[float]:
    largest = [max(abs(x) for x in row) for row in w]
    return [(found or 127) / 127 for found in (largest if per_channel else [max(largest)])]


def last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1][:100_000]


def number(value: Any) -> float:
    """The number a learner's program or hand wrote; NaN, which no comparison takes, for anything else."""
    found = to_number(value)
    return math.nan if found is None else found


def near(value: Any, wanted: float, tolerance: float) -> bool:
    return abs(number(value) - wanted) <= tolerance * abs(wanted) + 1e-12
