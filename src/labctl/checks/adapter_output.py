"""`adapter_output`: what an adapter does to its base, seen by running both."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from labctl.checks.base import BaseCheck, Duration, NonEmpty, WorkspacePath
from labctl.checks.documents import read_json
from labctl.checks.probe import OFFLINE, require_safetensors, run_probe
from labctl.outcomes import CheckResult
from labctl.target import Target


class AdapterOutputCheck(BaseCheck):
    """Replies of a base model with and without a PEFT adapter: they change with it, and are the base's own without it."""

    computes: ClassVar[bool] = True
    kind: Literal["adapter_output"] = "adapter_output"
    timeout: Duration = 300.0
    """Seconds for all of it: loading the libraries, the model, and every reply, three times."""
    base: NonEmpty
    """The base model: an absolute path such as "{{ model_path }}", or a hub's id that is in the session's cache."""
    adapter: WorkspacePath
    """The folder with adapter_config.json and adapter_model.safetensors."""
    prompts: Annotated[list[NonEmpty], Field(min_length=1, max_length=100)]
    """What the user says; put into the chat template where the tokenizer has one."""
    system: str | None = None
    """The system message put before each prompt."""
    min_changed: float = Field(default=0.5, gt=0, le=1)
    """The share of the replies that the adapter must change."""
    max_tokens: int = Field(default=32, ge=1, le=512)
    """How many tokens of a reply are made and compared; the most likely token each time."""

    def look(self, target: Target) -> CheckResult:
        read_json(target, f"{self.adapter}/adapter_config.json")
        require_safetensors(target, f"{self.adapter}/adapter_model.safetensors")
        arguments = self.model_dump(include={"base", "adapter", "prompts", "system", "max_tokens"})
        seen = run_probe(target, self.kind, arguments, timeout_s=self.timeout, env=OFFLINE)
        return self._judged(seen["base"], seen["adapted"], seen["restored"])

    def _judged(self, base: list[str], adapted: list[str], restored: list[str]) -> CheckResult:
        changed = sum(before != after for before, after in zip(base, adapted, strict=True))
        kept = sum(before == after for before, after in zip(base, restored, strict=True))
        unmet = []
        if changed < self.min_changed * len(base) - 1e-9:
            unmet.append(f"at least {self.min_changed:.0%} of the replies changed by the adapter")
        if kept < len(base):
            unmet.append("the base's own replies once the adapter is switched off")
        text = f"{self.adapter} changes {changed} of {len(base)} replies"
        text += f", and without it {kept} of {len(base)} are the base's own"
        seen: dict[str, Any] = {"changed": changed, "restored": kept, "of": len(base), **self._example(base, adapted)}
        if unmet:
            return self.failed(f"{text}; wanted {' and '.join(unmet)}", expected=unmet, actual=seen)
        return self.passed(text, actual=seen)

    def _example(self, base: list[str], adapted: list[str]) -> dict[str, str]:
        """The first prompt whose reply changed, or else the first, with both replies."""
        pairs = list(zip(self.prompts, base, adapted, strict=True))
        prompt, before, after = next((each for each in pairs if each[1] != each[2]), pairs[0])
        return {"prompt": prompt[:200], "base": before[:200], "adapter": after[:200]}
