"""`lab validate`: everything that can be known of a lab without starting it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from labctl.checks import BaseCheck
from labctl.checks.pytest import PytestCheck
from labctl.errors import LabctlError, LabFileError
from labctl.labs.answers import mutants, solution
from labctl.labs.lab import Lab, load_folder
from labctl.labs.source import Loc
from labctl.plan import declared_layout, plan


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
            loc: Loc = ("criteria", index, "checks", number, getattr(check, "kind", ""))
            for field, why in _unfounded(lab, check):
                yield f"{lab.source.at((*loc, field))}: {'.'.join(map(str, (*loc, field)))}: {why}"


def _unfounded(lab: Lab, check: BaseCheck) -> Iterator[tuple[str, str]]:
    """What a check relies on and the lab does not have, by the check's field."""
    if isinstance(check, PytestCheck) and "{{" not in check.file and not (lab.path / check.file).is_file():
        yield "file", f"there is no file {check.file!r} in {lab.path}"
    service = lab.spec.services.get(getattr(check, "service", None) or "")
    if service is None or not hasattr(check, "port"):
        return
    port: str | None = check.port
    if not service.ports:
        yield "service", "the service has no ports"
    elif port and "{{" not in port and port not in service.ports:
        yield "port", f"the service has no port {port!r}; it has {', '.join(service.ports)}"


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
