"""`adapter`: a LoRA adapter as PEFT saves it."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from labctl.checks.base import BaseCheck, NonEmpty, Unmet, WorkspacePath
from labctl.checks.documents import read_json
from labctl.checks.match import Match
from labctl.checks.weights import Tensor, count_parameters, read_tensors
from labctl.outcomes import CheckResult
from labctl.target import CannotLook, Target

MAX_WEIGHTS_BYTES = 512 * 1024 * 1024


class AdapterCheck(BaseCheck):
    """A LoRA adapter in PEFT's format: its base, rank, targets, and weights that were trained and are finite."""

    kind: Literal["adapter"] = "adapter"
    path: WorkspacePath
    """The folder with adapter_config.json and adapter_model.safetensors (at most 512 MiB)."""
    base: NonEmpty | list[NonEmpty]
    """The model it must be made for: a path or a hub's id, or any of several."""
    rank: Match | None = None
    """What the rank must be."""
    alpha: Match | None = None
    """What lora_alpha must be."""
    targets: list[NonEmpty] = []
    """Modules that must be adapted, for example q_proj; others may be."""
    max_trainable_percent: float | None = Field(default=None, gt=0, le=100)
    """The adapter's share of all parameters, base and adapter together, as PEFT counts it."""
    base_parameters: int | None = Field(default=None, ge=1)
    """Parameters of the base; counted from the headers of its weights when left out, which needs a path as base."""

    def look(self, target: Target) -> CheckResult:
        config = _config(target, self.path)
        tensors = _weights(target, self.path)
        size = sum(tensor.size for tensor in tensors.values())
        seen = {
            "base": config.get("base_model_name_or_path"),
            "rank": config.get("r"),
            "alpha": config.get("lora_alpha"),
            "targets": _targets(tensors),
            "parameters": size,
        }
        unmet = [*self._config_unmet(config), *_weights_unmet(config, tensors)]
        unmet += [f"{name} adapted" for name in self.targets if name not in _targets(tensors)]
        if self.max_trainable_percent is not None:
            percent = 100 * size / (size + self._base_parameters(target))
            seen["trainable_percent"] = round(percent, 4)
            if percent > self.max_trainable_percent:
                unmet.append(f"at most {self.max_trainable_percent:g}% trainable parameters, not {percent:.3g}%")
        if unmet:
            return self.failed(f"the adapter in {self.path}: wanted {'; '.join(unmet)}", expected=unmet, actual=seen)
        return self.passed(f"{self.path} holds a trained adapter of {size:,} parameters", actual=seen)

    def _config_unmet(self, config: Mapping[str, Any]) -> list[str]:
        bases = [self.base] if isinstance(self.base, str) else self.base
        base = config.get("base_model_name_or_path")
        kind = config.get("peft_type")
        unmet = [f"peft_type LORA, not {kind}"] if kind != "LORA" else []
        if not isinstance(base, str) or posixpath.normpath(base) not in map(posixpath.normpath, bases):
            unmet.append(f"an adapter for {' or '.join(bases)}, not for {base}")
        if self.rank is not None:
            unmet += [f"rank {text}, not {config.get('r')}" for text in self.rank.unmet(config.get("r"))]
        if self.alpha is not None:
            seen = config.get("lora_alpha")
            unmet += [f"lora_alpha {text}, not {seen}" for text in self.alpha.unmet(seen)]
        return unmet

    def _base_parameters(self, target: Target) -> int:
        if self.base_parameters is not None:
            return self.base_parameters
        base = self.base if isinstance(self.base, str) else self.base[0]
        try:
            return count_parameters(target, base)
        except FileNotFoundError:
            raise CannotLook(f"no safetensors of the base in {base}; the check needs base_parameters") from None
        except Unmet as error:
            raise CannotLook(f"the base's parameters cannot be counted: {error}") from None


def _config(target: Target, folder: str) -> Mapping[str, Any]:
    path = f"{folder}/adapter_config.json"
    config = read_json(target, path)
    if not isinstance(config, dict):
        raise Unmet(f"{path} is no object")
    return config


def _weights(target: Target, folder: str) -> dict[str, Tensor]:
    path = f"{folder}/adapter_model.safetensors"
    tensors = read_tensors(target, path, MAX_WEIGHTS_BYTES)
    if not any(".lora_A." in name for name in tensors) or not any(".lora_B." in name for name in tensors):
        raise Unmet(f"{path} holds no lora_A and lora_B weights")
    return tensors


def _weights_unmet(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> list[str]:
    unmet = [f"finite numbers in {name}" for name, tensor in tensors.items() if not tensor.is_finite()][:3]
    if all(tensor.is_zero() for name, tensor in tensors.items() if ".lora_B." in name):
        unmet.append("trained weights; every lora_B is still zero, as it is before the first step")
    ranks = sorted({tensor.shape[0] for name, tensor in tensors.items() if ".lora_A." in name and tensor.shape})
    if not config.get("rank_pattern") and ranks != [config.get("r")]:
        unmet.append(f"weights of the rank in adapter_config.json, {config.get('r')}, not {ranks}")
    return unmet


def _targets(tensors: Mapping[str, Tensor]) -> list[str]:
    """Adapted modules by their last name: base_model.model.layers.0.self_attn.q_proj.lora_A.weight → q_proj."""
    return sorted({name.partition(".lora_A.")[0].rpartition(".")[2] for name in tensors if ".lora_A." in name})
