"""`lab validate`: everything that can be known of a lab without starting it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from labctl.checks.base import BaseCheck, Model
from labctl.checks.cases import CasesCheck, read_cases
from labctl.checks.pytest import PytestCheck
from labctl.checks.quantized import QuantizedCheck
from labctl.errors import LabctlError, LabFileError
from labctl.labs.answers import mutants, solution
from labctl.labs.lab import Lab, load_folder
from labctl.labs.source import Loc
from labctl.planning import declared_layout, plan
from labctl.target import CannotLook


def problems(folder: Path) -> list[str]:
    """Every mistake in the lab of `folder`, each with file, line and column; an empty list when there is none."""
    try:
        lab = load_folder(folder)
    except LabFileError as error:
        return error.what.splitlines()
    found = [*_planning(lab), *_checks(lab), *_answers(lab), *_missing(lab), *_names(lab)]
    return list(dict.fromkeys(found))


def _planning(lab: Lab) -> Iterator[str]:
    for profile in lab.spec.profiles:
        try:
            plan(lab, learner="learner", profile=profile, layout=declared_layout(lab))
        except LabctlError as error:
            yield from error.what.splitlines()


def _checks(lab: Lab) -> Iterator[str]:
    for index, criterion in enumerate(lab.spec.criteria):
        for number, check in enumerate(criterion.checks):
            for loc, why in _unfounded(lab, check, ("criteria", index, "checks", number, getattr(check, "kind", ""))):
                yield f"{lab.source.at(loc)}: {'.'.join(map(str, loc))}: {why}"


def _unfounded(lab: Lab, part: Any, loc: Loc) -> Iterator[tuple[Loc, str]]:
    """What a check, or what is within it, relies on and the lab does not have, each with its place."""
    if isinstance(part, list):
        for number, item in enumerate(part):
            inner = (*loc, number, getattr(item, "kind", "")) if isinstance(item, BaseCheck) else (*loc, number)
            yield from _unfounded(lab, item, inner)
    if not isinstance(part, Model):
        return
    yield from _no_file(lab, part, loc)
    yield from _no_port(lab, part, loc)
    for name, value in part:
        field = type(part).model_fields[name].alias or name
        inner = (*loc, field, getattr(value, "kind", "")) if isinstance(value, BaseCheck) else (*loc, field)
        yield from _unfounded(lab, value, inner)


def _no_file(lab: Lab, part: Model, loc: Loc) -> Iterator[tuple[Loc, str]]:
    if isinstance(part, PytestCheck) and "{{" not in part.file and not (lab.path / part.file).is_file():
        yield (*loc, "file"), f"there is no file {part.file!r} in {lab.path}"
    if isinstance(part, CasesCheck) and "{{" not in part.cases:
        try:
            read_cases(str(lab.path), part.cases)
        except CannotLook as error:
            yield (*loc, "cases"), str(error)
    if (
        isinstance(part, QuantizedCheck)
        and part.text
        and "{{" not in part.text
        and not (lab.path / part.text).is_file()
    ):
        yield (*loc, "text"), f"there is no file {part.text!r} in {lab.path}"


def _no_port(lab: Lab, part: Model, loc: Loc) -> Iterator[tuple[Loc, str]]:
    service = lab.spec.services.get(getattr(part, "service", None) or "")
    if service is None or not hasattr(part, "port"):
        return
    port: str | None = part.port
    if not service.ports:
        yield (*loc, "service"), "the service has no ports"
    elif port and "{{" not in port and port not in service.ports:
        yield (*loc, "port"), f"the service has no port {port!r}; it has {', '.join(service.ports)}"


def _answers(lab: Lab) -> Iterator[str]:
    try:
        solution(lab)
        if len(mutants(lab)) < 2:
            yield f"{lab.path}: fewer than two mutants/; a lab must show two wrong solutions that fail"
    except LabFileError as error:
        yield from error.what.splitlines()


def _missing(lab: Lab) -> Iterator[str]:
    readme = lab.path / "README.md"
    if not readme.is_file():
        yield f"{lab.path}: no README.md with the instructions"
    else:
        try:
            readme.read_bytes().decode()
        except UnicodeDecodeError as error:
            yield f"{readme}: not UTF-8 text (byte {error.start})"
    if not (lab.path / "workspace").is_dir():
        yield f"{lab.path}: no folder workspace/ with the starter"


def _names(lab: Lab) -> Iterator[str]:
    """Names that not every system, archive and report can carry."""
    for root, folders, files in os.walk(lab.path):
        for name in (*folders, *files):
            place = os.fsencode(Path(root, name))
            try:
                place.decode()
            except UnicodeDecodeError:
                yield f"{place.decode(errors='backslashreplace')}: the name is not UTF-8"
