"""Making a bundle: what is missing is built or pulled first; then everything is summed, and written."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from labctl import __version__
from labctl.hosts.bundle import archive, models, wheels
from labctl.hosts.bundle.manifest import IMAGES, ImageEntry, Manifest
from labctl.hosts.bundle.plans import plans
from labctl.images import own
from labctl.progress import Progress, Step
from labctl.units import format_mib

if TYPE_CHECKING:
    from labctl.plan import Plan
    from labctl.settings import Settings

Client = Any  # docker's own; only `images` and the docker runtime know its name
Part = Literal["wheels", "images", "models"]
PARTS: tuple[Part, ...] = ("wheels", "images", "models")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`labs` in the order they were named; `profile` None takes each lab's first one."""

    labs: Sequence[str]
    profile: str | None
    parts: Sequence[Part]
    target: Path


@dataclass(slots=True)
class _Content:
    """What will be in the bundle, as it comes together."""

    images: list[ImageEntry] = field(default_factory=list)
    models: list[models.Found] = field(default_factory=list)
    sources: dict[str, Path] = field(default_factory=dict)


def make(request: Request, settings: Settings, progress: Progress) -> tuple[Manifest, int]:
    """Write the bundle; its manifest, and how many bytes of it an earlier run had left. May be called again after a kill.

    Raises NotFoundError, EngineError, PreflightError, LabFileError as what it is made of does; OSError.
    """
    wanted = plans(request.labs, request.profile, settings)
    staging = request.target.with_name(f"{request.target.name}.parts")
    staging.mkdir(parents=True, exist_ok=True)
    content = _Content()
    if "wheels" in request.parts:
        made = wheels.collect(staging / f"wheels-{own.digest()[:12]}", progress)
        content.sources |= {f"wheels/{wheel.name}": wheel for wheel in made}
    if "images" in request.parts and wanted:
        _add_images(content, wanted, staging, settings, progress)
    if "models" in request.parts:
        content.models = models.ensure(wanted, settings, progress)
        content.sources |= {name: path for model in content.models for name, path in model.files()}
    manifest = _manifest(request, content, settings, progress)
    kept = _write(request.target, manifest, content.sources, progress)
    shutil.rmtree(staging)
    return manifest, kept


def _add_images(
    content: _Content, wanted: Sequence[Plan], staging: Path, settings: Settings, progress: Progress
) -> None:
    from labctl.images.archive import content_of
    from labctl.images.build import ensure
    from labctl.images.engine import connect
    from labctl.runtimes.docker.parts import images

    client = connect(settings)
    named = dict.fromkeys((image, plan.profile) for plan in wanted for image in images(plan))
    found: dict[str, ImageEntry] = {}
    for image, profile in named:
        reference = ensure(client, image, profile, settings, progress)
        entry = ImageEntry(name=image, reference=reference, content=content_of(client, reference) or "")
        found.setdefault(reference, entry)
    content.images = [found[reference] for reference in sorted(found)]
    content.sources[IMAGES] = _saved(client, content.images, staging, progress)


def _saved(client: Client, images: Sequence[ImageEntry], staging: Path, progress: Progress) -> Path:
    """images.tar, kept from an earlier run when it holds these very images."""
    from labctl.images.archive import save

    key = hashlib.sha256("".join(f"{image.reference} {image.content}\n" for image in images).encode()).hexdigest()
    file = staging / f"images-{key[:12]}.tar"
    if file.is_file():
        progress(Step(name="images saved", state="unchanged"))
        return file
    told = Told("images saved", progress)
    save(client, [image.reference for image in images], file, lambda count: told("", count))
    told.done(f"{len(images)} images")
    return file


def _manifest(request: Request, content: _Content, settings: Settings, progress: Progress) -> Manifest:
    told = Told("sums", progress)
    members = [archive.member(name, content.sources[name], told) for name in sorted(content.sources, key=_order)]
    told.done(f"{len(members)} files")
    return Manifest(
        labctl=__version__,
        python=wheels.python_tag(),
        platform=wheels.platform_tag(),
        profile=request.profile or settings.profile or "",
        labs=list(request.labs),
        base_image=settings.base_image,
        registry=settings.registry,
        images=content.images,
        models=[model.entry for model in content.models],
        members=members,
    )


def _order(name: str) -> tuple[int, str]:
    """Wheels come first: who has nothing begins with them."""
    return (0 if name.startswith("wheels/") else 1 if name == IMAGES else 2), name


def _write(target: Path, manifest: Manifest, sources: dict[str, Path], progress: Progress) -> int:
    partial = target.with_name(f"{target.name}.partial")
    there = partial.stat().st_size if partial.is_file() else 0
    archive.room(target.parent, manifest.size - there)
    told = Told(f"bundle {target.name}", progress, manifest.size)
    kept = archive.write(target, manifest, sources, told)
    told.done(f"{format_mib(manifest.size / 2**20)}{f', {format_mib(kept / 2**20)} of it from before' if kept else ''}")
    return kept


class Told:
    """An OnBytes that tells of progress, once for each 16 MiB."""

    def __init__(self, name: str, progress: Progress, size: int = 0) -> None:
        self._name, self._progress, self._size = name, progress, size
        self._come = self._said = 0
        progress(Step(name=name, state="started"))

    def __call__(self, _member: str, count: int) -> None:
        self._come += count
        if self._come - self._said >= 16 * 2**20:
            self._said = self._come
            of = f" of {format_mib(self._size / 2**20)}" if self._size else ""
            self._progress(Step(name=self._name, state="progress", detail=f"{format_mib(self._come / 2**20)}{of}"))

    def done(self, detail: str) -> None:
        self._progress(Step(name=self._name, state="done", detail=detail))
