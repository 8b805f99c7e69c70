"""`lab validate`: everything that can be known of a lab without starting it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from labctl.errors import LabctlError, LabFileError
from labctl.labs.answers import mutants, solution
from labctl.labs.lab import Lab, load_folder
from labctl.plan import declared_layout, plan


def problems(folder: Path) -> list[str]:
    """Every mistake in the lab of `folder`, each with file, line and column; an empty list when there is none."""
    try:
        lab = load_folder(folder)
    except LabFileError as error:
        return error.what.splitlines()
    found = [*_planning(lab), *_answers(lab), *_missing(lab)]
    return list(dict.fromkeys(found))


def _planning(lab: Lab) -> Iterator[str]:
    for profile in lab.spec.profiles:
        try:
            plan(lab, learner="learner", profile=profile, layout=declared_layout(lab))
        except LabctlError as error:
            yield from error.what.splitlines()


def _answers(lab: Lab) -> Iterator[str]:
    try:
        solution(lab)
        if len(mutants(lab)) < 2:
            yield f"{lab.path}: fewer than two mutants/; a lab must show two wrong solutions that fail"
    except LabFileError as error:
        yield from error.what.splitlines()


def _missing(lab: Lab) -> Iterator[str]:
    if not (lab.path / "README.md").is_file():
        yield f"{lab.path}: no README.md with the instructions"
    if not (lab.path / "workspace").is_dir():
        yield f"{lab.path}: no folder workspace/ with the starter"
