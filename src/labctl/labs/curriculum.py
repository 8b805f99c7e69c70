"""The curriculum: the rows that criteria name as their `source`, and which lab proves which."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from labctl.checks.base import Model, NonEmpty
from labctl.labs.lab import Lab, validate
from labctl.labs.source import read_source
from labctl.labs.spec import Criterion

CURRICULUM_FILE = "curriculum.yaml"


class Row(Model):
    """Something a learner must be able to do. `id` is what a criterion's `source` says."""

    id: Annotated[str, Field(min_length=1, max_length=20)]
    stage: int = Field(ge=0, le=4)
    text: NonEmpty


class Curriculum(Model):
    """What labs/curriculum.yaml holds."""

    planned: list[int] = []
    """Stages that have no labs yet."""
    rows: list[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A criterion of a lab that proves a row, with the kinds of its checks, each once."""

    lab: str
    criterion: str
    kinds: tuple[str, ...]


def load(folder: Path) -> Curriculum:
    """The curriculum of a folder of labs. Raises LabFileError."""
    source = read_source(folder / CURRICULUM_FILE)
    return validate(Curriculum, source, source.data)


def proofs(labs: Iterable[Lab]) -> dict[str, list[Proof]]:
    """By row, in the order of the labs and of their criteria."""
    found: dict[str, list[Proof]] = {}
    for lab in labs:
        for criterion in lab.spec.criteria:
            proof = Proof(lab=lab.id, criterion=criterion.id, kinds=_kinds(criterion))
            found.setdefault(criterion.source or "", []).append(proof)
    return found


def gaps(curriculum: Curriculum, labs: Iterable[Lab]) -> list[str]:
    """One line for each row that should be proved and is not, and for each criterion that names no row."""
    found = proofs(labs)
    rows = {row.id for row in curriculum.rows}
    unproved = [
        f"{row.id} is proved by no lab: {row.text}"
        for row in curriculum.rows
        if row.stage not in curriculum.planned and row.id not in found
    ]
    lost = [
        f"{proof.lab}: {proof.criterion}: its source {source!r} is no row of the curriculum"
        for source, several in found.items()
        for proof in several
        if source not in rows
    ]
    return unproved + lost


def _kinds(criterion: Criterion) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(check.kind) for check in criterion.checks))
