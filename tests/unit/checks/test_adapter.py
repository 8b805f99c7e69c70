"""The check `adapter`, on files as PEFT writes them."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from labctl.checks.base import BaseCheck
from labctl.outcomes import CheckResult, Outcome
from labctl.target import CannotLook, RefusedPath
from labctl.testing.target import FakeTarget

CheckOf = Callable[..., BaseCheck]
Arrays = dict[str, np.ndarray[Any, Any]]
PREFIX = "base_model.model.model.layers.0.self_attn"


def weights(*, rank: int = 4, trained: bool = True) -> Arrays:
    generator = np.random.default_rng(0)
    made: Arrays = {}
    for module in ("q_proj", "v_proj"):
        made[f"{PREFIX}.{module}.lora_A.weight"] = generator.normal(size=(rank, 16)).astype(np.float32)
        made[f"{PREFIX}.{module}.lora_B.weight"] = np.full((16, rank), 0.1 if trained else 0.0, np.float32)
    return made


def saved(target: FakeTarget, tensors: Arrays | None = None, **config: Any) -> Path:
    folder = target.folder / "out/adapter"
    folder.mkdir(parents=True, exist_ok=True)
    known = {"peft_type": "LORA", "base_model_name_or_path": "/models/tiny", "r": 4, "lora_alpha": 8, **config}
    (folder / "adapter_config.json").write_text(json.dumps(known))
    save_file(weights() if tensors is None else tensors, folder / "adapter_model.safetensors")
    return folder


def looked(target: FakeTarget, check_of: CheckOf, **settings: Any) -> CheckResult:
    return check_of("adapter", **{"path": "out/adapter", "base": "/models/tiny", **settings}).run(target)


def test_a_trained_adapter_passes(target: FakeTarget, check_of: CheckOf) -> None:
    saved(target)
    result = looked(target, check_of, rank={"ge": 4}, alpha={"equals": 8}, targets=["q_proj", "v_proj"])
    assert result.outcome is Outcome.PASS
    assert (result.actual["parameters"], result.actual["targets"]) == (256, ["q_proj", "v_proj"])


@pytest.mark.parametrize(
    ("config", "settings", "why"),
    [
        ({"base_model_name_or_path": "/models/other"}, {}, "not for /models/other"),
        ({"base_model_name_or_path": None}, {}, "not for None"),
        ({"base_model_name_or_path": ["x"]}, {}, "not for ['x']"),
        ({"peft_type": "IA3"}, {}, "peft_type LORA, not IA3"),
        ({"r": 8}, {}, "weights of the rank in adapter_config.json, 8, not [4]"),
        ({"r": [4]}, {}, "weights of the rank"),
        ({"r": "4"}, {}, "weights of the rank"),
        ({}, {"rank": {"ge": 16}}, "rank >= 16, not 4"),
        ({}, {"alpha": {"equals": 32}}, "lora_alpha equal to 32, not 8"),
        ({}, {"targets": ["q_proj", "k_proj"]}, "k_proj adapted"),
    ],
)
def test_another_configuration_fails_with_its_reason(
    target: FakeTarget, check_of: CheckOf, config: dict[str, Any], settings: dict[str, Any], why: str
) -> None:
    saved(target, **config)
    result = looked(target, check_of, **settings)
    assert (result.outcome, why in result.message) == (Outcome.FAIL, True), result.message


@pytest.mark.parametrize("base", ["/models/tiny/", "/models/../models/tiny", ["Qwen/Qwen2.5-0.5B", "/models/tiny"]])
def test_a_base_is_compared_as_a_path_or_an_id(target: FakeTarget, check_of: CheckOf, base: Any) -> None:
    saved(target)
    assert looked(target, check_of, base=base).outcome is Outcome.PASS


def test_weights_as_they_were_before_training_fail(target: FakeTarget, check_of: CheckOf) -> None:
    saved(target, weights(trained=False))
    assert "every lora_B is still zero" in looked(target, check_of).message


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_weights_that_are_not_finite_fail(target: FakeTarget, check_of: CheckOf, dtype: type, value: float) -> None:
    tensors: Arrays = {name: array.astype(dtype) for name, array in weights().items()}
    tensors[f"{PREFIX}.q_proj.lora_A.weight"][0, 0] = value
    saved(target, tensors)
    assert "finite numbers in" in looked(target, check_of).message


@pytest.mark.parametrize(
    ("bits", "why"),
    [
        (0x3F80, ""),
        (0x0000, "still zero"),
        (0x8000, "still zero"),
        (0x7F80, "finite"),
        (0x7FC0, "finite"),
        (0xFF80, "finite"),
    ],
    ids=["one", "zero", "minus-zero", "infinity", "nan", "minus-infinity"],
)
def test_bfloat16_is_read_without_torch(target: FakeTarget, check_of: CheckOf, bits: int, why: str) -> None:
    folder = saved(target)
    data = np.full(64, bits, "<u2").tobytes()
    shapes = {"lora_A": [4, 16], "lora_B": [16, 4]}
    tensors = {f"{PREFIX}.q_proj.{name}.weight": {"shape": shape, "data": data} for name, shape in shapes.items()}
    (folder / "adapter_model.safetensors").write_bytes(_serialized(tensors))
    result = looked(target, check_of)
    assert (result.outcome is Outcome.PASS) is not bool(why)
    assert why in result.message


def _serialized(tensors: Mapping[str, Any]) -> bytes:
    header, body = {}, b""
    for name, tensor in tensors.items():
        offsets = [len(body), len(body) + len(tensor["data"])]
        header[name] = {"dtype": "BF16", "shape": tensor["shape"], "data_offsets": offsets}
        body += tensor["data"]
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x04pickle",
        struct.pack("<Q", 2**60) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 20) + b"{",
        struct.pack("<Q", 6) + b'{"a":1',
        b"\xff" * 4096,
    ],
    ids=["empty", "pickle", "endless-header", "list-header", "cut", "broken-json", "binary"],
)
def test_a_broken_weights_file_fails_and_never_crashes(target: FakeTarget, check_of: CheckOf, content: bytes) -> None:
    folder = saved(target)
    (folder / "adapter_model.safetensors").write_bytes(content)
    result = looked(target, check_of)
    assert result.outcome is Outcome.FAIL
    assert "adapter_model.safetensors" in result.message


def test_a_cut_file_and_one_without_lora_weights_fail(target: FakeTarget, check_of: CheckOf) -> None:
    folder = saved(target)
    whole = (folder / "adapter_model.safetensors").read_bytes()
    (folder / "adapter_model.safetensors").write_bytes(whole[:-10])
    assert "not a whole safetensors file" in looked(target, check_of).message
    saved(target, {"lm_head.weight": np.ones((2, 2), np.float32)})
    assert "no lora_A and lora_B weights" in looked(target, check_of).message


def test_integer_weights_are_refused(target: FakeTarget, check_of: CheckOf) -> None:
    saved(target, {name: array.astype(np.int8) for name, array in weights().items()})
    assert "of type I8" in looked(target, check_of).message


def test_an_oversized_sparse_file_is_refused_by_its_size(target: FakeTarget, check_of: CheckOf) -> None:
    folder = saved(target)
    with (folder / "adapter_model.safetensors").open("r+b") as stream:
        stream.truncate(600 * 1024 * 1024)
    assert "larger than" in looked(target, check_of).message


def test_a_missing_adapter_names_the_file(target: FakeTarget, check_of: CheckOf) -> None:
    assert looked(target, check_of).message == "there is no file out/adapter/adapter_config.json"
    (saved(target) / "adapter_config.json").write_text("[]")
    assert looked(target, check_of).message == "out/adapter/adapter_config.json is no object"


def test_an_adapter_linked_from_outside_is_refused(target: FakeTarget, check_of: CheckOf, tmp_path: Path) -> None:
    saved(target).rename(tmp_path / "elsewhere")
    (target.folder / "out/adapter").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RefusedPath):
        looked(target, check_of)


def test_the_trainable_share_is_measured_against_the_headers_of_the_base(tmp_path: Path, check_of: CheckOf) -> None:
    base = tmp_path / "models/tiny"
    base.mkdir(parents=True)
    shards = {"a.safetensors": (100, 100), "b.safetensors": (244, 1)}
    for name, shape in shards.items():
        save_file({name[0]: np.zeros(shape, np.float32)}, base / name, metadata={"format": "pt"})
    index = {"weight_map": {name[0]: name for name in shards}}
    (base / "model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / "w").mkdir()
    target = FakeTarget(folder=tmp_path / "w", provided=(tmp_path / "models",))
    saved(target, base_model_name_or_path=str(base))
    result = looked(target, check_of, base=str(base), max_trainable_percent=3)
    assert (result.outcome, result.actual["trainable_percent"]) == (
        Outcome.PASS,
        pytest.approx(100 * 256 / 10500, abs=1e-4),
    )
    result = looked(target, check_of, base=str(base), max_trainable_percent=2)
    assert "at most 2% trainable parameters, not 2.44%" in result.message


def test_a_hub_model_needs_its_parameters_in_the_lab_file(target: FakeTarget, check_of: CheckOf) -> None:
    saved(target, base_model_name_or_path="Qwen/Qwen2.5-0.5B")
    settings = {"base": "Qwen/Qwen2.5-0.5B", "max_trainable_percent": 1}
    assert looked(target, check_of, **settings, base_parameters=494_032_768).outcome is Outcome.PASS
    with pytest.raises(CannotLook, match="needs base_parameters"):
        looked(target, check_of, **settings)


@pytest.mark.parametrize(
    "header", [b"", struct.pack("<Q", 1 << 40), struct.pack("<Q", 4) + b"nope", struct.pack("<Q", 9) + b'{"a": {}}']
)
def test_a_broken_base_is_no_failure_of_the_learner(tmp_path: Path, check_of: CheckOf, header: bytes) -> None:
    base = tmp_path / "models/tiny"
    base.mkdir(parents=True)
    (base / "model.safetensors").write_bytes(header)
    (tmp_path / "w").mkdir()
    target = FakeTarget(folder=tmp_path / "w", provided=(base,))
    saved(target, base_model_name_or_path=str(base))
    with pytest.raises(CannotLook):
        looked(target, check_of, base=str(base), max_trainable_percent=1)
