"""Whatever a learner writes into a file, a check that reads it passes, fails or refuses a path; it never breaks down."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from labctl.checks.base import RENDERED, BaseCheck
from labctl.checks.kinds import Check
from labctl.grading.attempts import observe
from labctl.outcomes import Outcome
from labctl.testing.target import FakeTarget

_CHECKS: TypeAdapter[BaseCheck] = TypeAdapter(Check)
KEYS = ["thought", "tool", "arguments", "observation", "answer", "nbformat", "cells", "cell_type", "source", "outputs"]
KEYS += [
    "output_type",
    "text",
    "data",
    "text/plain",
    "execution_count",
    "outs",
    "md5",
    "hash",
    "path",
    "stages",
    "wdir",
]
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
LEAVES |= st.sampled_from(["code", "stream", "error", 4, 1, "a.csv", "c3c6bc2ae8ece4bd2510dca21225c041.dir"])
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
)
LOOKS: dict[str, tuple[str, Callable[[dict[str, Any]], Any]]] = {
    "agent_trace": ("t.jsonl", lambda settings: {"agent_trace": {"path": "t.jsonl", **settings}}),
    "notebook": ("n.ipynb", lambda _: {"notebook": {"path": "n.ipynb", "outputs": [{"contains": "a"}]}}),
    "file": ("f.ipynb", lambda _: {"file": {"path": "f.py", "notebook": True, "text": {"contains": "a"}}}),
    "dvc_state": ("a.csv.dvc", lambda _: {"dvc_state": {"path": "a.csv", "pushed_to": "store"}}),
}


def outcome_of(folder: Path, kind: str, content: bytes) -> Outcome:
    name, check = LOOKS[kind]
    (folder / name).write_bytes(content)
    (folder / "a.csv").write_bytes(b"a")
    store = folder / "store/files/md5/c3/c6bc2ae8ece4bd2510dca21225c041.dir"
    store.parent.mkdir(parents=True, exist_ok=True)
    store.write_bytes(content)
    made = _CHECKS.validate_python(check({"answer": {"contains": "a"}}), context=RENDERED)
    return observe(made, FakeTarget(folder=folder)).outcome


@pytest.mark.parametrize("kind", LOOKS)
def test_any_json_value_is_judged(kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("w")

    @settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(VALUES, min_size=1, max_size=3))
    def any_value(values: list[Any]) -> None:
        text = "\n".join(map(json.dumps, values))
        assert outcome_of(folder, kind, text.encode()) in (Outcome.PASS, Outcome.FAIL)

    any_value()


@pytest.mark.parametrize("kind", LOOKS)
def test_any_bytes_are_judged(kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("w")

    @settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.binary(max_size=200))
    def any_bytes(content: bytes) -> None:
        assert outcome_of(folder, kind, content) in (Outcome.PASS, Outcome.FAIL)

    any_bytes()
