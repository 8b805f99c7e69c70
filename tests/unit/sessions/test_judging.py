"""The judge as a process of its own, against a session on this host; and criteria on their way to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from labctl.labs.catalog import summaries
from labctl.labs.lab import load
from labctl.plan import CriterionPlan, Plan
from labctl.planning import declared_layout, plan

LAB = """\
title: A small lab
stage: 1
minutes: 5
profiles:
  cpu: {memory: 64MiB, disk: 16MiB}
criteria:
  - {id: written, text: answer.txt says yes, points: 3, hint: write it, checks: [{file: {path: answer.txt, text: {contains: "yes"}}}]}
  - {id: run, needs: [written], text: it runs, points: 2, hint: run it, checks: [{command: {command: [sh, -c, "exit 3"]}}]}
  - {id: alive, text: commands run, points: 1, hint: look, checks: [{command: {command: ["true"]}}]}
  - {id: other, text: other.txt is there, points: 1, hint: write it, checks: [{file: {path: other.txt}}]}
"""
WriteLab = Callable[..., Path]
OURS = [(row.id, profile) for row in summaries(()) for profile in load(row.id, ()).spec.profiles]


@pytest.mark.parametrize(("lab", "profile"), OURS)
def test_every_criterion_of_our_labs_comes_to_the_judge_as_it_was(lab: str, profile: str, home: Path) -> None:
    found = load(lab, ())
    made = plan(found, learner="ada", profile=profile, layout=declared_layout(found))  # type: ignore[arg-type]
    for criterion in made.criteria:
        back = CriterionPlan.from_json(json.loads(json.dumps(criterion.to_json())))
        assert back == criterion
        assert [type(check) for check in back.checks] == [type(check) for check in criterion.checks]


def test_what_is_no_criterion_is_refused() -> None:
    with pytest.raises(ValidationError, match="checks"):
        CriterionPlan.from_json({"id": "a", "points": 1})


@pytest.fixture
def small(write_lab: WriteLab, home: Path) -> Plan:
    lab = load(f"{write_lab(text=LAB)}/", ())
    return plan(lab, learner="ada", profile="cpu", layout=declared_layout(lab))


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def judged(made: Plan, workspace: Path, home: Path, *only: str) -> list[dict[str, Any]]:
    """What the judge says of a session on this host, line by line."""
    handle: Mapping[str, Any] = {
        "session": made.session,
        "home": str(home / "home"),
        "workspace": str(workspace),
        "lab_path": made.lab_path,
        "models": str(home),
        "model_paths": [],
        "environment": {},
        "services": {},
    }
    target = {"factory": "labctl.runtimes.local.target:connect", "arguments": handle}
    task = home / "task.json"
    criteria = [each.to_json() for each in made.criteria]
    task.write_text(json.dumps({"criteria": criteria, "only": list(only), "target": target}))
    run = subprocess.run(
        [sys.executable, "-m", "labctl.sessions.judging", str(task)],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (run.returncode, run.stderr) == (0, "")
    return [json.loads(line) for line in run.stdout.splitlines()]


def outcomes(said: list[dict[str, Any]]) -> dict[str, str]:
    assert said[-1] == {"done": True}
    return {each["criterion"]["id"]: each["criterion"]["outcome"] for each in said[:-1]}


def test_each_criterion_is_a_line_and_the_last_says_that_it_is_done(small: Plan, workspace: Path, home: Path) -> None:
    (workspace / "answer.txt").write_text("yes\n")
    assert outcomes(judged(small, workspace, home)) == {
        "written": "pass",
        "run": "fail",
        "alive": "pass",
        "other": "fail",
    }


def test_what_needs_a_criterion_that_is_not_met_is_skipped(small: Plan, workspace: Path, home: Path) -> None:
    (workspace / "other.txt").touch()
    found = outcomes(judged(small, workspace, home))
    assert (found["written"], found["run"], found["other"]) == ("fail", "skip", "pass")


def test_only_what_was_asked_for_is_judged(small: Plan, workspace: Path, home: Path) -> None:
    assert outcomes(judged(small, workspace, home, "other")) == {"other": "fail"}


def test_a_session_that_cannot_be_looked_at_is_an_error_and_no_failure(small: Plan, home: Path) -> None:
    gone = home / "nowhere"
    assert outcomes(judged(small, gone, home))["alive"] == "error"
