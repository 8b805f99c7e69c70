"""The models of labs as files: those that labctl builds, and those of a hub that this host has."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from labctl.errors import PreflightError
from labctl.hosts.bundle.manifest import ModelEntry
from labctl.hosts.bundle.plans import plans_with
from labctl.progress import Progress
from labctl.runtimes.cache import is_complete

if TYPE_CHECKING:
    from labctl.plan import Plan
    from labctl.settings import Settings

Fetch = Callable[[str, Path, Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A model and the folder of this host that it is in, or belongs in."""

    entry: ModelEntry
    folder: Path

    @property
    def is_here(self) -> bool:
        return is_complete(self.folder) if self.entry.kind == "built" else self.folder.is_dir()

    def files(self) -> Iterator[tuple[str, Path]]:
        """Every file with its name in a bundle, in order; links to files are followed, hidden ones are left out."""
        for path in sorted(_below(self.folder)):
            yield f"{self.entry.folder}/{path.relative_to(self.folder).as_posix()}", path


def needed(plans: Sequence[Plan], settings: Settings) -> list[Found]:
    """The models of all plans, each once, in order, here or not. Raises PreflightError as `place` does."""
    entries = {entry.folder: entry for plan in plans for entry in _entries(plan)}
    by_folder = {name: Found(entry=entry, folder=place(entry, settings)) for name, entry in entries.items()}
    return [by_folder[name] for name in sorted(by_folder)]


def needed_by(labs: Sequence[str], profile: str, settings: Settings) -> list[tuple[ModelEntry, list[str], bool]]:
    """Every model of these labs in this profile, with the labs that need it, and whether it is here."""
    found: dict[str, tuple[ModelEntry, list[str]]] = {}
    for plan in plans_with(labs, profile, settings):
        for entry in _entries(plan):
            found.setdefault(entry.folder, (entry, []))[1].append(plan.lab)
    return [(entry, of, _is_here(entry, settings)) for _, (entry, of) in sorted(found.items())]


def ensure(plans: Sequence[Plan], settings: Settings, progress: Progress, *, fetch: Fetch | None = None) -> list[Found]:
    """The same, and all of them are here: built by the local runtime, or by `fetch` from a hub.

    Raises PreflightError when one cannot be built or fetched, or is a hub's and nobody fetches.
    """
    for plan in plans:
        _build(plan, settings, progress)
        _fetch(plan, settings, progress, fetch)
    return needed(plans, settings)


def place(entry: ModelEntry, settings: Settings) -> Path:
    """Where a model is on this host. Raises PreflightError when nothing says where a hub's models are."""
    if entry.kind == "built":
        return settings.home / "models" / entry.name
    if settings.models is None:
        raise PreflightError(
            f"{entry.name} is a model of a hub, and LABCTL_MODELS does not say where those are kept",
            "export LABCTL_MODELS=/srv/models",
        )
    return settings.models / entry.name


def _entries(plan: Plan) -> list[ModelEntry]:
    hub = [ModelEntry(name=name, kind="hub") for name in plan.hub_models]
    return [*(_entry(step.path) for step in plan.models), *hub]


def _is_here(entry: ModelEntry, settings: Settings) -> bool:
    is_somewhere = entry.kind == "built" or settings.models is not None
    return is_somewhere and Found(entry=entry, folder=place(entry, settings)).is_here


def _entry(path: str) -> ModelEntry:
    return ModelEntry(name=PurePosixPath(path).name, kind="built")


def _build(plan: Plan, settings: Settings, progress: Progress) -> None:
    places = {step.name: place(_entry(step.path), settings) for step in plan.models}
    missing = [step for step in plan.models if not is_complete(places[step.name])]
    if not missing:
        return
    from labctl.runtimes.local.prepare import prepare

    steps = [step.model_copy(update={"path": str(places[step.name])}) for step in missing]
    envs = [env for env in plan.envs if env.name in {step.env for step in steps}]
    prepare(plan.model_copy(update={"models": steps, "envs": envs}), settings.home, progress)


def _fetch(plan: Plan, settings: Settings, progress: Progress, fetch: Fetch | None) -> None:
    for name in plan.hub_models:
        folder = place(ModelEntry(name=name, kind="hub"), settings)
        if folder.is_dir():
            continue
        if fetch is None:
            raise PreflightError(
                f"{name}, which {plan.lab} needs, is not in {settings.models}", f"labctl model pull {plan.lab}"
            )
        fetch(name, folder, progress)


def _below(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(root, name) for name in names if not name.startswith(".") and Path(root, name).is_file())
