"""Every kind of check, one file a kind. A new kind is one file, one line in `Check` below, one test."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from labctl.checks.adapter import AdapterCheck
from labctl.checks.answers import AnswersCheck
from labctl.checks.base import BaseCheck
from labctl.checks.chat import ChatCheck
from labctl.checks.command import CommandCheck
from labctl.checks.file import FileCheck
from labctl.checks.gpu import GpuCheck
from labctl.checks.http import HttpCheck
from labctl.checks.json import JsonCheck
from labctl.checks.log import LogCheck
from labctl.checks.metrics import MetricsCheck
from labctl.checks.promql import PromqlCheck
from labctl.checks.pytest import PytestCheck

Check = Annotated[
    AdapterCheck
    | AnswersCheck
    | ChatCheck
    | CommandCheck
    | FileCheck
    | GpuCheck
    | HttpCheck
    | JsonCheck
    | LogCheck
    | MetricsCheck
    | PromqlCheck
    | PytestCheck,
    Field(discriminator="kind"),
    BeforeValidator(lambda value: from_yaml(value)),
]


def from_yaml(value: Any) -> Any:
    """A check as a lab file writes it, `{http: {...}}`, in the form the models take, `{kind: http, ...}`."""
    if not isinstance(value, dict) or "kind" in value:
        return value
    if len(value) != 1:
        raise ValueError(
            f"a check is one kind with its settings, for example `- http: {{...}}`; this has {sorted(value)}"
        )
    kind, settings = next(iter(value.items()))
    if not isinstance(settings, dict):
        raise ValueError(f"`{kind}:` takes settings, for example `{kind}: {{...}}`")
    return {"kind": kind, **settings}


__all__ = ["BaseCheck", "Check", "from_yaml"]
