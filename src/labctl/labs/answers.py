"""A lab's own answers: its solution, and its mutants (plausible wrong solutions that must fail)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from labctl.checks.base import Duration, Model, NonEmpty
from labctl.errors import LabFileError
from labctl.labs.lab import Lab, validate
from labctl.labs.source import read_source
from labctl.labs.spec import Id

STEPS_FILE = "steps.yaml"
MUTANT_FILE = "mutant.yaml"
NOT_COPIED = frozenset({STEPS_FILE, MUTANT_FILE})


class Steps(Model):
    """What steps.yaml holds: commands that are run in the workspace, in order, once the files are in place."""

    steps: list[list[NonEmpty]]
    timeout: Duration = 900.0
    """Seconds each step may take."""


class MutantSpec(Model):
    """What mutant.yaml holds."""

    description: NonEmpty
    """The mistake it stands for."""
    fails: list[Id]
    """The criteria that must not pass; every other one must."""
    base: Literal["solution", "starter"] = "solution"
    """What the mutant's files are laid over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Folders to lay over the workspace, in order, and what to run then. `fails` is empty for the solution."""

    name: str
    description: str
    layers: tuple[Path, ...]
    steps: Steps
    fails: frozenset[str] = frozenset()


def solution(lab: Lab) -> Answer:
    """The lab's solution. Raises LabFileError when there is none."""
    folder = lab.path / "solution"
    if not folder.is_dir():
        raise LabFileError(f"{lab.id} has no folder solution/", "docs/add-a-lab.md says what belongs in it")
    return Answer(name="solution", description="passes every criterion", layers=(folder,), steps=_steps(folder))


def mutants(lab: Lab) -> list[Answer]:
    """The lab's mutants by name. Raises LabFileError for a wrong mutant.yaml or an unknown criterion in it."""
    return [_mutant(lab, file.parent) for file in sorted(lab.path.glob(f"mutants/*/{MUTANT_FILE}"))]


def _mutant(lab: Lab, folder: Path) -> Answer:
    source = read_source(folder / MUTANT_FILE)
    spec = validate(MutantSpec, source, source.data)
    unknown = set(spec.fails) - {criterion.id for criterion in lab.spec.criteria}
    if unknown or not spec.fails:
        what = f"no criterion {min(unknown)!r}" if unknown else "a mutant must fail at least one criterion"
        raise LabFileError(f"{source.at(('fails',))}: fails: {what}", "name criteria of the lab file")
    base = solution(lab) if spec.base == "solution" else None
    own_steps = (folder / STEPS_FILE).is_file() or base is None
    return Answer(
        name=folder.name,
        description=spec.description,
        layers=(*(base.layers if base else ()), folder),
        steps=_steps(folder) if own_steps or base is None else base.steps,
        fails=frozenset(spec.fails),
    )


def _steps(folder: Path) -> Steps:
    file = folder / STEPS_FILE
    if not file.is_file():
        return Steps(steps=[])
    source = read_source(file)
    return validate(Steps, source, source.data)
