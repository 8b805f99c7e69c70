from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.runtimes.local import processes
from labctl.runtimes.local.census import Census


@pytest.fixture
def marked(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the session `demo`, with an empty service name as a supervisor has it."""
    marks = {"LABCTL_HOME": str(tmp_path), "LABCTL_SESSION": "demo", "LABCTL_SERVICE": ""}
    with subprocess.Popen(["sleep", "600"], env={**os.environ, **marks}) as process:
        yield process
        process.kill()


def test_a_count_is_kept_while_it_is_valid(tmp_path: Path) -> None:
    kept, fresh = Census(tmp_path, valid_s=600), Census(tmp_path, valid_s=0)
    assert kept.of("demo") == fresh.of("demo") == []
    marks = {"LABCTL_HOME": str(tmp_path), "LABCTL_SESSION": "demo"}
    with subprocess.Popen(["sleep", "600"], env={**os.environ, **marks}) as process:
        assert kept.of("demo") == []
        assert fresh.of("demo") == [process.pid]
        process.kill()


def test_one_count_answers_for_every_session(tmp_path: Path, marked: subprocess.Popen[bytes]) -> None:
    census = Census(tmp_path)
    assert census.of("another") == []
    assert census.of("demo") == [marked.pid]
    assert Census(tmp_path / "elsewhere").of("demo") == []


def test_a_mark_may_ask_for_any_value(tmp_path: Path, marked: subprocess.Popen[bytes]) -> None:
    home = {"LABCTL_HOME": str(tmp_path)}
    assert [found.pid for found in processes.find({**home, "LABCTL_SERVICE": None})] == [marked.pid]
    assert processes.find({**home, "LABCTL_NOTHING": None}) == []
    assert processes.find({**home, "LABCTL_SERVICE": "web"}) == []
