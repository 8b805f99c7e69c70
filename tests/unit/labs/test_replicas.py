"""Which services may run more than once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from labctl.errors import LabFileError
from labctl.labs.lab import load_folder
from labctl.planning import declared_layout, plan
from tests.conftest import LAB

WriteLab = Callable[..., Path]
CHECK = {"http": "/"}


def lab_with(write_lab: WriteLab, more: dict[str, Any] | None = None, **page: Any) -> Path:
    lab = yaml.safe_load(LAB)
    lab["services"]["page"] |= page
    lab["services"] |= more or {}
    return write_lab(text=yaml.safe_dump(lab, sort_keys=False))


def test_a_service_that_says_when_it_is_ready_may_run_twice(write_lab: WriteLab) -> None:
    lab = load_folder(lab_with(write_lab, replicas=2, healthcheck=CHECK))
    made = plan(lab, learner="ada", profile="cpu", layout=declared_layout(lab))
    assert made.services[0].replicas == 2


def test_how_many_run_is_no_reason_to_start_a_service_again(write_lab: WriteLab) -> None:
    digests = set()
    for replicas in (1, 2):
        lab = load_folder(lab_with(write_lab, replicas=replicas, healthcheck=CHECK))
        digests.add(plan(lab, learner="ada", profile="cpu", layout=declared_layout(lab)).services[0].digest)
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ({"healthcheck": CHECK, "restart": "no"}, "what is meant to end"),
        ({}, "give ports and a healthcheck"),
    ],
)
def test_what_ends_or_cannot_say_when_it_is_ready_runs_once(
    write_lab: WriteLab, page: dict[str, Any], said: str
) -> None:
    with pytest.raises(LabFileError, match=said):
        load_folder(lab_with(write_lab, replicas=2, **page))


def test_what_another_service_waits_for_to_end_runs_once(write_lab: WriteLab) -> None:
    after = {"command": ["true"], "depends_on": {"page": {"condition": "service_completed_successfully"}}}
    with pytest.raises(LabFileError, match=r"services\.page\.replicas is 2, but after waits for it to end"):
        load_folder(lab_with(write_lab, {"after": after}, replicas=2, healthcheck=CHECK))
