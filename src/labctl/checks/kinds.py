"""The kinds of checks as one type, `Check`: what a lab file may hold. A new kind is one file, one line here, one test."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from labctl.checks.adapter import AdapterCheck
from labctl.checks.adapter_output import AdapterOutputCheck
from labctl.checks.agent_trace import AgentTraceCheck
from labctl.checks.answers import AnswersCheck
from labctl.checks.chat import ChatCheck
from labctl.checks.command import CommandCheck
from labctl.checks.dvc_state import DvcStateCheck
from labctl.checks.file import FileCheck
from labctl.checks.generation import GenerationCheck
from labctl.checks.gpu import GpuCheck
from labctl.checks.http import HttpCheck
from labctl.checks.json import JsonCheck
from labctl.checks.latency import LatencyCheck
from labctl.checks.log import LogCheck
from labctl.checks.metrics import MetricsCheck
from labctl.checks.mlflow_run import MlflowRunCheck
from labctl.checks.notebook import NotebookCheck
from labctl.checks.promql import PromqlCheck
from labctl.checks.pytest import PytestCheck
from labctl.checks.quantized import QuantizedCheck
from labctl.checks.quorum import QuorumCheck
from labctl.checks.retrieval import RetrievalCheck

Check = Annotated[
    AdapterCheck
    | AdapterOutputCheck
    | AgentTraceCheck
    | AnswersCheck
    | ChatCheck
    | CommandCheck
    | DvcStateCheck
    | FileCheck
    | GenerationCheck
    | GpuCheck
    | HttpCheck
    | JsonCheck
    | LatencyCheck
    | LogCheck
    | MetricsCheck
    | MlflowRunCheck
    | NotebookCheck
    | PromqlCheck
    | PytestCheck
    | QuantizedCheck
    | QuorumCheck
    | RetrievalCheck,
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


# Checks within a check: only now is it known what they are.
QuorumCheck.model_rebuild(_types_namespace={"Check": Check})
