"""Where labs are found, and what a list of them needs. Light on purpose: YAML only, no models (`labctl list` waits for it)."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labctl.errors import LabctlError, NotFoundError

LAB_FILE = "lab.yaml"
_CACHE_VERSION = 1


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
    """Folders that hold labs, first match wins: `LABCTL_LABS`, the built-in ones, the current folder and its `labs/`.

    A folder that one merely stands in, a workspace for example, does not take the place of a built-in lab.
    """
    folders = [*more, builtin_folder()]
    with contextlib.suppress(OSError):  # the current folder may have been removed
        here = Path.cwd()
        folders += [here, here / "labs"]
    return list(dict.fromkeys(folder for folder in folders if folder.is_dir()))


def find(lab: str, more: Sequence[Path] = ()) -> Path:
    """The folder of `lab`, which is an id, or a path with a slash in it. Raises NotFoundError with near misses."""
    if os.sep in lab:
        with contextlib.suppress(OSError, RuntimeError):  # no current folder any more; no such user's home
            folder = Path(lab).expanduser().absolute()
            if (folder / LAB_FILE).is_file():
                return folder
        raise NotFoundError(f"no {LAB_FILE} in {lab}", "give a folder that holds one, or a lab's id from `labctl list`")
    found = {folder.name: folder for folder in reversed(list(_folders(search_path(more))))}
    if lab in found:
        return found[lab]
    near = [id for id in found if id.startswith(lab)] or difflib.get_close_matches(lab, found, n=1, cutoff=0.5)
    hint = f"did you mean {' or '.join(near[:3])}? " if near else ""
    raise NotFoundError(f"no lab named {lab!r}", f"{hint}`labctl list` shows the labs there are")


def summaries(more: Sequence[Path] = (), *, cache: Path | None = None) -> list[Summary]:
    """Every lab on the search path by stage and id; one that cannot be read is listed with its problem.

    `cache` is a file that remembers what unchanged lab files say, so that they, and the YAML library, are not read again.
    """
    known = _read_cache(cache)
    seen: dict[str, tuple[str, Summary]] = {}
    for folder in _folders(search_path(more)):
        if folder.name not in seen:
            mark = _mark(folder / LAB_FILE)
            kept = known.get(str(folder))
            seen[folder.name] = (mark, kept[1] if kept and kept[0] == mark else _summary(folder))
    found = {id: summary for id, (_, summary) in seen.items()}
    if cache is not None and any(known.get(str(row.path)) != (mark, row) for mark, row in seen.values()):
        _write_cache(cache, seen.values())
    return sorted(found.values(), key=lambda row: (9 if row.stage is None else row.stage, row.id))


def _folders(places: Sequence[Path]) -> Iterator[Path]:
    for place in places:
        yield from sorted(entry.parent for entry in place.glob(f"*/{LAB_FILE}"))


def _mark(file: Path) -> str:
    """What changes when the file does."""
    stat = file.stat()
    return f"{stat.st_mtime_ns}-{stat.st_size}-{stat.st_ino}"


def _read_cache(cache: Path | None) -> dict[str, tuple[str, Summary]]:
    try:
        values = json.loads(cache.read_bytes()) if cache else {}
        if values.get("version") != _CACHE_VERSION:
            return {}
        return {row["path"]: (mark, _revived(row)) for mark, row in values["labs"]}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):  # none yet, or damaged: it is only a cache
        return {}


def _revived(row: dict[str, Any]) -> Summary:
    return Summary(**{**row, "path": Path(row["path"]), "profiles": tuple(row["profiles"])})


def _write_cache(cache: Path, rows: Iterable[tuple[str, Summary]]) -> None:
    labs = [(mark, {**asdict(row), "path": str(row.path)}) for mark, row in rows]
    partial = cache.with_name(f"{cache.name}.{os.getpid()}")
    with contextlib.suppress(OSError):  # a home that cannot be written still lists its labs
        cache.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial.write_text(json.dumps({"version": _CACHE_VERSION, "labs": labs}))
        partial.replace(cache)


def _summary(folder: Path) -> Summary:
    from labctl.labs.source import read_source  # YAML, which a warm cache makes unnecessary

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
