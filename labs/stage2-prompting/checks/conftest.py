"""What the tests of this folder share: the session's own data, and the model as the learner's prompts ask it."""

from __future__ import annotations

import importlib.util
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

Row = dict[str, Any]


def plain(text: str) -> str:
    """What two messages have in common that differ only in capitals, spaces or a full stop at the end."""
    return " ".join(text.casefold().split()).rstrip(".")


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """The session's shop, made again here from the lab's own copy of get_data.py."""

    source: Any
    desks: Mapping[str, str]
    pool: Sequence[Row]
    test: Sequence[Row]
    problems: Sequence[Row]
    proposal: Row

    @property
    def names(self) -> list[str]:
        """The desks, as the template is given them."""
        return sorted(self.desks)

    def fresh(self, per_desk: int) -> list[Row]:
        """Messages that are in no file of the learner's, other ones each time."""
        known = {plain(row["message"]) for row in [*self.pool, *self.test, *self.proposal["examples"]]}
        return self.source.messages(dict(self.desks), random.SystemRandom(), per_desk, known)


@pytest.fixture(scope="session")
def data(lab: Path, parameters: Mapping[str, Any]) -> Data:
    spec = importlib.util.spec_from_file_location("get_data", lab / "workspace" / "get_data.py")
    assert spec is not None
    assert spec.loader is not None
    source = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(source)
    session = parameters["session"]
    made = source.make(session)
    return Data(
        source=source,
        desks=source.desks_of(session),
        pool=made["data/pool.jsonl"],
        test=made["data/test.jsonl"],
        problems=made["data/problems.jsonl"],
        proposal=made["incoming/v3.yaml"],
    )


@pytest.fixture(scope="session")
def ask(workspace: Any, parameters: Mapping[str, Any]) -> Callable[..., list[Row]]:
    """A function from jobs (prompt, rows) to what checks/render.py found; a prompt that cannot be used fails the test."""

    def run(*jobs: tuple[Any, Sequence[Row]], dry: bool = False) -> list[Row]:
        asked = {"jobs": [{"prompt": prompt, "rows": list(rows), "dry": dry} for prompt, rows in jobs]}
        script = f"{parameters['lab']}/checks/render.py"
        done = workspace.run("python", "-I", "-B", script, stdin=json.dumps(asked), timeout=400)
        if done.exit_code != 0:
            pytest.fail(f"the model could not be asked: {done.stderr.strip().splitlines()[-1:]}")
        found: list[Row] = json.loads(done.stdout)
        for part in found:
            assert "problem" not in part, part["problem"]
            refused = next((reply["refused"] for reply in part["replies"] if "refused" in reply), None)
            assert refused is None, f"the server refused a request: {refused}"
        return found

    return run


@pytest.fixture(scope="session")
def call(workspace: Any, parameters: Mapping[str, Any]) -> Callable[..., list[Any]]:
    """A function that calls a function of the learner's, in the session, once for each tuple of arguments."""

    def run(module: str, function: str, calls: Sequence[Sequence[Any]]) -> list[Any]:
        asked = {"module": module, "function": function, "calls": calls}
        script = f"{parameters['lab']}/checks/functions.py"
        done = workspace.run("python", "-B", script, stdin=json.dumps(asked), timeout=120)
        assert done.exit_code == 0, f"{module}.py could not be run: {done.stderr.strip()[-300:]}"
        results = json.loads(done.stdout)
        broken = next((result["error"] for result in results if "error" in result), None)
        assert broken is None, f"{function} in {module}.py: {broken}"
        return [result["value"] for result in results]

    return run


def right(found: Row, rows: Sequence[Row]) -> int:
    """How many replies are exactly the row's desk."""
    return sum(reply["text"] == row["desk"] for reply, row in zip(found["replies"], rows, strict=True))


@pytest.fixture(scope="session")
def count_right() -> Callable[[Row, Sequence[Row]], int]:
    return right


@pytest.fixture(scope="session")
def alike() -> Callable[[str], str]:
    return plain
