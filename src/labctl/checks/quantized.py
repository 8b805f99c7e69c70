"""`quantized`: a quantised model measured against its original."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from labctl.checks.base import BaseCheck, Duration, NonEmpty, Unmet, WorkspacePath
from labctl.checks.probe import OFFLINE, StillRunning, require_safetensors, run_probe, seen_in
from labctl.outcomes import CheckResult
from labctl.target import CannotLook, RefusedPath, Target

MAX_TEXT_BYTES = 1024 * 1024


class QuantizedCheck(BaseCheck):
    """A quantised language model against its original: bits of its weights, bytes on disk, perplexity of a text of the lab.

    A folder that transformers loads (bitsandbytes, torchao, …), or one .gguf file, whose weights are expanded to floats for
    its perplexity. Checks of one original on one text are one process, which loads the original once; their timeouts add up
    to its time.
    """

    computes: ClassVar[bool] = True
    kind: Literal["quantized"] = "quantized"
    timeout: Duration = 300.0
    """Seconds for all of it: loading the libraries and both models, and both perplexities."""
    original: NonEmpty
    """The model it was made from: an absolute path such as "{{ model_path }}", or a hub's id in the session's cache."""
    path: WorkspacePath
    """The folder with config.json and safetensors files, or a .gguf file."""
    bits: int = Field(ge=1, le=16)
    """How many bits a weight of a linear layer may take; scales and zero points are not counted."""
    min_share: float = Field(default=0.9, gt=0, le=1)
    """The share of the linear layers' weights that must be that small; llama.cpp's Q4_K_M, for one, mixes 4 bits and 6."""
    text: str | None = Field(default=None, pattern=r"^[^/]")
    """A text of the lab, relative to its folder, for example checks/heldout.txt; without it no perplexity is measured."""
    max_perplexity_ratio: float = Field(default=1.1, gt=0)
    """The quantised model's perplexity over the original's, at most."""
    max_size_ratio: float | None = Field(default=None, gt=0)
    """Bytes of the quantised model's weight files over the original's, at most."""
    lab: NonEmpty = "{{ lab_folder }}"
    """The lab's folder where the check runs, which is not in the session; filled in."""

    @model_validator(mode="before")
    @classmethod
    def _lab_counts_as_given(cls, values: Any) -> Any:
        """The plan renders the templates in what was given; the lab's folder is one that no author has to write."""
        return {"lab": "{{ lab_folder }}", **values} if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _stays_in_the_lab(self) -> QuantizedCheck:
        if self.text is not None and ".." in Path(self.text).parts:
            raise ValueError(f"{self.text!r} leads out of the lab's folder")
        if self.text is None and "max_perplexity_ratio" in self.model_fields_set:
            raise ValueError("max_perplexity_ratio needs a text that the perplexity is measured on")
        return self

    @property
    def shares(self) -> Hashable:
        """Checks of one original on one text: libraries and original take most of the time, and are loaded once."""
        if self.retry or self.alone:
            return None
        return self.kind, self.original, self.lab, self.text

    def look(self, target: Target) -> CheckResult:
        return self.looks_at([self], target)[0]()

    @classmethod
    def looks_at(cls, checks: Sequence[Self], target: Target) -> list[Callable[[], CheckResult]]:
        refused = [check._refusal(target) for check in checks]
        answers = iter(_answers([check for check, error in zip(checks, refused, strict=True) if not error], target))
        return [partial(check._judged, error or next(answers)) for check, error in zip(checks, refused, strict=True)]

    def _refusal(self, target: Target) -> Exception | None:
        """Why the files are not opened at all, which says nothing of other checks' files."""
        try:
            self._require_weights(target)
        except (Unmet, CannotLook, RefusedPath) as error:
            return error
        return None

    def _judged(self, answer: Mapping[str, Any] | Exception) -> CheckResult:
        try:
            if isinstance(answer, Exception):
                raise answer
            seen = seen_in(self.kind, answer)
        except Unmet as error:
            return self.failed(str(error))
        unmet = self._unmet(seen)
        text = f"{self.path}: {_told(seen)}"
        if unmet:
            return self.failed(f"{text}; wanted {' and '.join(unmet)}", expected=unmet, actual=seen)
        return self.passed(text, actual=seen)

    def _require_weights(self, target: Target) -> None:
        """Before anything is loaded: only formats that cannot run code."""
        if self.path.endswith(".gguf"):
            try:
                magic = target.read(self.path, max_bytes=4)
            except (FileNotFoundError, IsADirectoryError):
                raise Unmet(f"there is no file {self.path}") from None
            if magic != b"GGUF":
                raise Unmet(f"{self.path} is no GGUF file")
            return
        found = [info.path for info in target.find(f"{self.path}/*.safetensors")]
        if not found:
            raise Unmet(f"there is no safetensors file in {self.path}; no other format is opened")
        for path in found:
            require_safetensors(target, path)

    def _text(self) -> str | None:
        if self.text is None:
            return None
        try:
            data = (Path(self.lab) / self.text).read_bytes()
            return data[:MAX_TEXT_BYTES].decode()
        except (OSError, UnicodeDecodeError) as error:
            raise CannotLook(f"the lab's text {self.text} cannot be read: {error}") from None

    def _unmet(self, seen: dict[str, Any]) -> list[str]:
        unmet = []
        if seen["share"] < self.min_share:
            unmet.append(f"{self.min_share:.0%} of the linear layers' weights in at most {self.bits} bits")
        if self.max_size_ratio is not None and seen["size_ratio"] > self.max_size_ratio:
            unmet.append(f"at most {self.max_size_ratio:.0%} of the original's bytes")
        ratio = seen.get("perplexity_ratio")
        if self.text is not None and (ratio is None or ratio > self.max_perplexity_ratio):
            unmet.append(f"at most {self.max_perplexity_ratio:g} times the original's perplexity")
        return unmet


def _answers(checks: Sequence[QuantizedCheck], target: Target) -> Sequence[Mapping[str, Any] | Exception]:
    """What the probe answers to each of `checks`, which share an original and a text."""
    if not checks:
        return []
    one, limit_s = checks[0], sum(check.timeout for check in checks)
    models = [{"path": check.path, "bits": check.bits} for check in checks]
    try:
        arguments = {"original": one.original, "text": one._text(), "models": models}
        seen = run_probe(target, one.kind, arguments, timeout_s=limit_s, env=OFFLINE)
    except CannotLook as error:
        if len(checks) == 1 or isinstance(error, StillRunning):
            return [error] * len(checks)
        # One model may have ended the process, of memory for example: that is not held against the others.
        return [answer for check in checks for answer in _answers([check], target)]
    return list(seen["models"])


def _told(seen: dict[str, Any]) -> str:
    """What was measured, in words."""
    kinds = (
        ", ".join(f"{share:.0%} in {name}" for name, share in seen["stored"].items()) or "no weights of the original"
    )
    sizes = f"{seen['bytes']:,} bytes, {seen['size_ratio']:.0%} of the original's {seen['original_bytes']:,}"
    told = f"{kinds}; {sizes}"
    if "perplexity" in seen:
        told += f"; perplexity {seen['perplexity']:.4g} against {seen['original_perplexity']:.4g}"
    return told
