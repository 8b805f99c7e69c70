"""`labctl list --course`: what a learner sees of a course."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labctl.outcomes import CriterionResult, Outcome, Report
from labctl.settings import Settings
from labctl.store.store import Store
from tests.unit.labs.test_courses import COURSES, IDS

Result = subprocess.CompletedProcess[str]


@pytest.fixture
def passed(chosen: Settings, home: Path, write_lab: Callable[..., Path]) -> Callable[..., None]:
    """Three labs and the course; the function records what ada reached in a lab."""
    for id in IDS:
        write_lab(id)
    (home / "labs" / "courses.yaml").write_text(COURSES)

    def record(lab: str, earned: int = 10) -> None:
        outcome = Outcome.PASS if earned == 10 else Outcome.FAIL
        only = CriterionResult(id="it", source="", text="", points=10, earned=earned, outcome=outcome, hint="")
        report = Report(
            lab=lab,
            session=f"{lab}--ada",
            learner="ada",
            runtime="local",
            profile="cpu",
            trust="self",
            started_at="2026-01-02T03:04:05Z",
            duration_s=1.0,
            criteria=(only,),
        )
        Store(chosen).add_report(report)

    return record


def listed(*more: str) -> Result:
    command = [sys.executable, "-m", "labctl", "list", "--course", "short", *more]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def rows() -> dict[str, dict[str, Any]]:
    answer = json.loads(listed("--json").stdout)
    return {row["id"]: row for row in answer["labs"]}


def test_a_course_shows_what_is_next_what_is_locked_and_what_to_read(passed: Callable[..., None]) -> None:
    passed("lab-a")
    passed("lab-b", earned=4)
    result = listed()
    assert result.returncode == 0, result.stderr
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[:4] == ["A short course", "• Python", "", "LAB TITLE TIME NEEDS YOU"]
    assert lines[4:] == [
        "lab-a A small lab 5 min 64MiB RAM passed",
        "Part 2",
        "read A chapter 1 week",
        "lab-b A small lab 2 h 64MiB RAM next, 4/10",
        "read A paper",
        "read Another",
        "lab-c A small lab 3 days 64MiB RAM locked: first lab-b",
    ]
    assert "1 of 3 labs passed" in result.stderr
    assert "labctl up lab-b" in result.stderr


def test_json_carries_progress_next_and_what_locks(passed: Callable[..., None]) -> None:
    passed("lab-a")
    found = rows()
    assert {id: row["next"] for id, row in found.items()} == {"lab-a": False, "lab-b": True, "lab-c": False}
    assert {id: row["locked_by"] for id, row in found.items()} == {"lab-a": [], "lab-b": [], "lab-c": ["lab-b"]}
    assert found["lab-a"]["progress"] == {"score": 10, "max_score": 10, "passed": True}
    assert (found["lab-c"]["after"], found["lab-c"]["time"]) == (["lab-a", "lab-b"], "3 days")
    answer = json.loads(listed("--json").stdout)
    assert answer["next"] == "lab-b"
    assert answer["course"] == {"id": "short", "title": "A short course", "prerequisites": ["Python"]}
    assert [step["lab"] for step in answer["steps"]] == ["lab-a", None, "lab-b", "lab-c"]


def test_a_course_that_is_done_says_so(passed: Callable[..., None]) -> None:
    for id in IDS:
        passed(id)
    result = listed()
    assert "all 3 labs passed" in result.stderr
    assert listed("--quiet").stdout.split() == list(IDS)
    assert json.loads(listed("--json").stdout)["next"] is None


def test_a_list_without_a_course_loads_no_models(passed: Callable[..., None]) -> None:
    program = "import sys; from labctl.cli.main import main; sys.argv = ['labctl', 'list', *sys.argv[1:]]; main(); print('pydantic' in sys.modules)"
    for more in ([], ["--course", "short"]):
        command = [sys.executable, "-c", program, "--quiet", *more]
        result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        assert result.stdout.splitlines()[-1] == "False", result.stderr
