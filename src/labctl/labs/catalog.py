"""Where labs are found, and what a list of them needs. Light on purpose: YAML only, no models (`labctl list` waits for it)."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labctl.errors import LabctlError, NotFoundError
from labctl.labs.source import read_source

LAB_FILE = "lab.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A row of `labctl list`. `problem` is why the file could not be read, None when it could."""

    id: str
    path: Path
    title: str = ""
    stage: int | None = None
    minutes: int | None = None
    profiles: tuple[str, ...] = ()
    memory: str = ""
    gpu_memory: str = ""
    problem: str | None = None


def builtin_folder() -> Path:
    """The labs that travel with labctl: inside the wheel, or beside `src/` in a checkout."""
    packaged = Path(__file__).resolve().parent.parent / "_data" / "labs"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[3] / "labs"


def search_path(more: Sequence[Path] = ()) -> list[Path]:
    """Folders that hold labs, first match wins: `LABCTL_LABS`, the current folder and its `labs/`, the built-in ones."""
    here = Path.cwd()
    folders = [*more, here, here / "labs", builtin_folder()]
    return list(dict.fromkeys(folder for folder in folders if folder.is_dir()))


def find(lab: str, more: Sequence[Path] = ()) -> Path:
    """The folder of `lab`, which is an id, or a path with a slash in it. Raises NotFoundError with near misses."""
    if os.sep in lab:
        folder = Path(lab).expanduser().absolute()
        if (folder / LAB_FILE).is_file():
            return folder
        raise NotFoundError(
            f"no {LAB_FILE} in {folder}", "give a folder that holds one, or a lab's id from `labctl list`"
        )
    found = {folder.name: folder for folder in reversed(list(_folders(search_path(more))))}
    if lab in found:
        return found[lab]
    near = difflib.get_close_matches(lab, found, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? " if near else ""
    raise NotFoundError(f"no lab named {lab!r}", f"{hint}`labctl list` shows the labs there are")


def summaries(more: Sequence[Path] = ()) -> list[Summary]:
    """Every lab on the search path by stage and id; one that cannot be read is listed with its problem."""
    found: dict[str, Summary] = {}
    for folder in _folders(search_path(more)):
        if folder.name not in found:
            found[folder.name] = _summary(folder)
    return sorted(found.values(), key=lambda row: (9 if row.stage is None else row.stage, row.id))


def _folders(places: Sequence[Path]) -> Iterator[Path]:
    for place in places:
        yield from sorted(entry.parent for entry in place.glob(f"*/{LAB_FILE}"))


def _summary(folder: Path) -> Summary:
    try:
        data = read_source(folder / LAB_FILE).data
    except LabctlError as error:
        return Summary(id=folder.name, path=folder, problem=error.what)
    if not isinstance(data, dict) or not isinstance(data.get("title"), str):
        return Summary(id=folder.name, path=folder, problem=f"{folder / LAB_FILE}: no title; try `labctl lab validate`")
    profiles = _mapping(data.get("profiles"))
    cpu, gpu = _mapping(profiles.get("cpu")), _mapping(_mapping(profiles.get("gpu")).get("gpu"))
    stage, minutes = data.get("stage"), data.get("minutes")
    return Summary(
        id=folder.name,
        path=folder,
        title=data["title"],
        stage=stage if isinstance(stage, int) else None,
        minutes=minutes if isinstance(minutes, int) else None,
        profiles=tuple(profiles),
        memory=str(cpu.get("memory", "")),
        gpu_memory=str(gpu.get("memory", "")),
    )


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
