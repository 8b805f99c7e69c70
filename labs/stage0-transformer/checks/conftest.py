"""What the tests of this folder share: the learner's data, the learner's functions on fresh input, the learner's answers."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from labctl.checks.answers import is_open, to_number

sys.path.insert(0, str(Path(__file__).parent))  # reference.py

Drive = Callable[[Sequence[Mapping[str, Any]]], list[Any]]


@pytest.fixture(scope="session")
def session(lab: Path, parameters: Mapping[str, Any]) -> Any:
    """The data that this learner works on, made by the lab's own copy of data.py."""
    spec = importlib.util.spec_from_file_location("data", lab / "workspace" / "data.py")
    assert spec
    assert spec.loader
    data = importlib.util.module_from_spec(spec)
    sys.modules["data"] = data
    spec.loader.exec_module(data)
    return data.Session(str(parameters["seed"]))


@pytest.fixture(scope="session")
def drive(workspace: Any, parameters: Mapping[str, Any]) -> Drive:
    """A function from cases to what the learner's functions return for them, all in one process of the session."""

    def values(cases: Sequence[Mapping[str, Any]]) -> list[Any]:
        driver = f"{parameters['lab']}/checks/drive.py"
        done = workspace.run("python", "-B", driver, stdin=json.dumps(cases), timeout=280)
        lines = done.stdout.strip().splitlines()
        assert done.exit_code == 0, f"your files could not be run: {done.stderr.strip()[-300:]}"
        assert lines, f"your files ended the process: {done.stderr.strip()[-300:]}"
        answers = json.loads(lines[-1])
        for case, answer in zip(cases, answers, strict=True):
            assert "error" not in answer, f"{case['call']}: {answer['error'][:300]}"
        return [answer["value"] for answer in answers]

    return values


@pytest.fixture(scope="session")
def answered(workspace: Any) -> Callable[[str], float]:
    """A function from a key of answers.yaml, such as heads.parameters, to the number written there."""
    given = yaml.safe_load(workspace.read_text("answers.yaml"))

    def number(key: str) -> float:
        part, _, name = key.partition(".")
        value = (given.get(part) or {}).get(name) if isinstance(given, dict) else None
        assert not is_open(value), f"{key} in answers.yaml is not answered yet"
        found = to_number(value)
        assert found is not None, f"{key} in answers.yaml is {value!r}; wanted a number"
        return found

    return number


@pytest.fixture(scope="session")
def recorded(workspace: Any) -> Callable[[str], dict[str, Any]]:
    """A function from the name of an experiment to what it wrote."""

    def record(name: str) -> dict[str, Any]:
        found = workspace.read_json(f"out/{name}.json")
        assert isinstance(found, dict), f"out/{name}.json: wanted an object"
        return found

    return record


def same(value: Any, wanted: Any, tolerance: float = 1e-4) -> bool:
    """Whether nested lists have one shape, and each number is the one wanted, give or take `tolerance` (relative above 1)."""
    if isinstance(wanted, list | tuple):
        long_enough = isinstance(value, list | tuple) and len(value) == len(wanted)
        return long_enough and all(same(*pair, tolerance) for pair in zip(value, wanted, strict=True))
    if not isinstance(value, int | float) or not math.isfinite(value):
        return False
    return abs(value - wanted) <= tolerance * max(1.0, abs(wanted))


def shape(value: Any) -> list[int]:
    """How long nested lists are, level by level."""
    return [len(value), *shape(value[0])] if isinstance(value, list) and value else []
