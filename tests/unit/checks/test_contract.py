"""What holds of every kind of check."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from labctl.checks.base import BaseCheck, shown
from labctl.checks.kinds import Check

CHECKS: TypeAdapter[BaseCheck] = TypeAdapter(Check)
KINDS: tuple[type[BaseCheck], ...] = get_args(get_args(Check)[0])
SCHEMA = CHECKS.json_schema(by_alias=True)


def fields() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for model, schema in SCHEMA["$defs"].items():
        yield from ((model, name, field) for name, field in schema["properties"].items() if name != "kind")


def test_every_kind_of_the_issue_is_in_the_union() -> None:
    kinds = {kind.model_fields["kind"].default for kind in KINDS}
    assert kinds == {
        *("adapter", "answers", "chat", "command", "file", "gpu", "http", "json", "log", "metrics", "promql", "pytest"),
        *("generation", "latency", "quorum", "retrieval"),
        *("adapter_output", "agent_trace", "dvc_state", "mlflow_run", "notebook", "quantized"),
    }


@pytest.mark.parametrize(("model", "name", "field"), list(fields()), ids=lambda value: str(value)[:30])
def test_every_setting_is_described_for_the_docs(model: str, name: str, field: dict[str, Any]) -> None:
    assert field.get("description"), f"{model}.{name} has no docstring"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_says_in_one_line_what_it_observes(kind: type[BaseCheck]) -> None:
    assert (kind.__doc__ or "").splitlines()[0].endswith(".")


@pytest.mark.parametrize(
    ("check", "why"),
    [
        ({"http": {"service": "api", "staus": 200}}, "staus"),
        ({"http": {"service": "api", "json": {}, "body": "x"}}, "not both"),
        ({"json": {"match": {"equals": 1}}}, "exactly one of file or service"),
        ({"json": {"file": "a.json", "path": "/x", "match": {"equals": 1}}}, "belong to a request"),
        ({"json": {"file": "a.json", "select": "a[", "match": {"equals": 1}}}, "JMESPath"),
        ({"file": {"path": "a", "exists": False, "min_bytes": 1}}, "can never hold"),
        ({"file": {"path": "a", "unchanged": "abc"}}, "unchanged"),
        ({"log": {"service": "api"}}, "text, line or both"),
        ({"log": {"service": "api", "line": "("}}, "regular expression"),
        ({"metrics": {"service": "api", "metric": "m", "quantile": 2, "value": {"ge": 1}}}, "quantile"),
        ({"chat": {"service": "s", "model": "m", "response": {"contains": "a"}}}, "prompt or messages"),
        ({"chat": {"service": "s", "model": "m", "prompt": "a"}}, "response, json or both"),
        ({"chat": {"service": "s", "model": "m", "prompt": "a", "cases": [{"prompt": "b"}]}}, "response, json or both"),
        ({"gpu": {}}, "give count"),
        ({"answers": {"key": "a"}}, "exactly one of number, text or from"),
        ({"answers": {"key": "a", "number": float("nan")}}, "finite"),
        ({"pytest": {"file": "../test_x.py"}}, "leads out"),
        ({"pytest": {"file": "/etc/test_x.py"}}, "pattern"),
        ({"command": {"command": []}}, "at least 1"),
        ({"telnet": {}}, "telnet"),
    ],
)
def test_a_mistake_in_a_lab_file_is_refused_with_its_reason(check: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        CHECKS.validate_python(check)


def test_what_a_learner_wrote_cannot_drive_a_terminal_or_break_utf8() -> None:
    assert shown("\x1b]0;title\x07 \ud800 a\r\nb") == "␛]0;title␇ ? a\nb"
    assert shown({"a": "\x1b[2J", "b": float("nan")}) == {"a": "␛[2J", "b": "NaN"}


def test_a_value_nested_without_end_is_named_not_shown() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert shown(deep) == "a value nested too deeply to show"
