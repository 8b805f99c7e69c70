"""Loading a bundle on a machine without a network: nothing is put anywhere before all of it has been checked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from labctl.disk import locked
from labctl.errors import LabctlError, LabFileError
from labctl.hosts.bundle import archive
from labctl.hosts.bundle.archive import Bundle
from labctl.hosts.bundle.make import Client, Part, Told
from labctl.hosts.bundle.manifest import IMAGES, ImageEntry, Manifest, Member, ModelEntry
from labctl.hosts.bundle.models import place
from labctl.hosts.hub import SUMS
from labctl.progress import Progress, Step
from labctl.runtimes.cache import is_complete, make_once

if TYPE_CHECKING:
    from labctl.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A thing of a bundle on this host: `missing` (and not to be loaded now), `loaded`, or `unchanged`: it was there."""

    kind: Literal["image", "model"]
    name: str
    state: Literal["missing", "loaded", "unchanged"]
    note: str = ""


def compare(bundle: Bundle, parts: Sequence[Part], settings: Settings) -> list[Item]:
    """What of the bundle this host has, and what it lacks. Changes nothing, and reads no more than the manifest."""
    manifest = bundle.manifest
    items = []
    if "images" in parts and manifest.images:
        client = _engine(settings)
        items += [
            Item(kind="image", name=image.reference, state="unchanged" if _has(client, image) else "missing")
            for image in manifest.images
        ]
    if "models" in parts:
        items += [
            Item(kind="model", name=model.name, state="unchanged" if _is_here(model, manifest, settings) else "missing")
            for model in manifest.models
        ]
    return items


def load(
    bundle: Bundle, parts: Sequence[Part], settings: Settings, progress: Progress, *, digest: str | None = None
) -> list[Item]:
    """Bring what is missing; what came of each thing. May be called again: what is there stays.

    `digest` is what the bundle's manifest must have, as `make` told it: with it a bundle can come over any way.
    Raises LabFileError for a damaged bundle or another one, EngineError, PreflightError, OSError.
    """
    if digest is not None and bundle.manifest.digest != digest.lower():
        raise LabFileError(
            f"{bundle.file} is another bundle: sha256 {bundle.manifest.digest}", f"{digest} was asked for; get it again"
        )
    items = compare(bundle, parts, settings)
    if any(item.state == "missing" for item in items):
        told = Told("bundle checked", progress, bundle.manifest.size)
        bundle.check(told)
        told.done(f"{len(bundle.manifest.members)} files")
    return [*_images(bundle, items, settings, progress), *_models(bundle, items, settings, progress)]


def _images(bundle: Bundle, items: Sequence[Item], settings: Settings, progress: Progress) -> list[Item]:
    wanted = [item for item in items if item.kind == "image"]
    if not wanted:
        return []
    client = _engine(settings)
    if any(item.state == "missing" for item in wanted):
        _load_images(client, bundle, progress)
        wanted = [replace(item, state="loaded") if item.state == "missing" else item for item in wanted]
    entries = {image.reference: image for image in bundle.manifest.images}
    return [_named(client, item, entries[item.name], bundle.manifest, settings) for item in wanted]


def _load_images(client: Client, bundle: Bundle, progress: Progress) -> None:
    from labctl.images.archive import load as load_into

    member = next((each for each in bundle.manifest.members if each.name == IMAGES), None)
    if member is None:
        raise LabFileError(f"{bundle.file}: it names images and has no {IMAGES}", "make it again: `labctl bundle`")
    told = Told("images loaded", progress, member.size)
    with bundle.stream(member) as content:
        load_into(client, content, lambda count: told("", count))
    told.done(f"{len(bundle.manifest.images)} images")


def _named(client: Client, item: Item, image: ImageEntry, manifest: Manifest, settings: Settings) -> Item:
    """One of our images gets the reference that this host's settings ask for, where these alone differ."""
    from labctl.images import catalog
    from labctl.images.archive import tag
    from labctl.images.engine import is_present
    from labctl.images.names import is_ours

    if not is_ours(image.name):
        return item
    there = replace(settings, base_image=manifest.base_image, registry=manifest.registry)
    profile = _profile(image, manifest)
    try:
        if catalog.reference(image.name, profile, there) != image.reference:
            return replace(item, note="of another labctl: a session here builds its own")
        expected = catalog.reference(image.name, profile, settings)
    except LabctlError as error:
        return replace(item, note=error.what)
    if is_present(client, expected):
        return item
    tag(client, image.reference, expected)
    return replace(item, state="loaded", note=f"as {expected}")


def _profile(image: ImageEntry, manifest: Manifest) -> str:
    tag = image.reference.rpartition(":")[2]
    return next((name for name in ("cpu", "gpu") if tag.startswith(f"{name}-")), manifest.profile or "cpu")


def _models(bundle: Bundle, items: Sequence[Item], settings: Settings, progress: Progress) -> list[Item]:
    entries = {model.name: model for model in bundle.manifest.models}
    found = []
    for item in (item for item in items if item.kind == "model"):
        if item.state == "missing":
            _load_model(bundle, entries[item.name], settings, progress)
        found.append(replace(item, state="loaded") if item.state == "missing" else item)
    return found


def _load_model(bundle: Bundle, model: ModelEntry, settings: Settings, progress: Progress) -> None:
    members = list(bundle.manifest.below(model.folder))
    folder = place(model, settings)
    told = Told(f"model {model.name}", progress, sum(member.size for member in members))

    def written(_lock: int = 0) -> None:
        making = folder.with_name(f".{folder.name}.loading")
        shutil.rmtree(making, ignore_errors=True)
        archive.room(folder.parent, sum(member.size for member in members))
        for member in members:
            _put(bundle, member, making / member.name.removeprefix(f"{model.folder}/"), told)
        if model.kind == "hub":
            (making / SUMS).write_text(_sums(model, members))
        os.replace(making, folder)  # noqa: PTH105 - says that it replaces

    if model.kind == "built":
        make_once(folder, f"model {model.name}", progress, written)
    else:
        with _alone(folder, progress):
            written()
    told.done(f"{len(members)} files")


@contextmanager
def _alone(folder: Path, progress: Progress) -> Iterator[None]:
    """What stands there and is not this model is moved aside, never removed: somebody put it there."""
    folder.parent.mkdir(parents=True, exist_ok=True)

    def waiting() -> None:
        progress(Step(name=f"model {folder.name}", state="progress", detail="waiting for another labctl"))

    with locked(folder.with_name(f".{folder.name}.lock"), waiting):
        if folder.exists():
            aside = next(
                place
                for number in range(1, 10_000)
                if not (place := folder.with_name(f"{folder.name}.before-{number}")).exists()
            )
            folder.rename(aside)
        yield


def _put(bundle: Bundle, member: Member, file: Path, told: Told) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("xb") as out:
        for piece in bundle.pieces(member, told):
            out.write(piece)


def _is_here(model: ModelEntry, manifest: Manifest, settings: Settings) -> bool:
    """Built models are named by what they are made from; of a hub's, the sums that were written with it must be these."""
    folder = place(model, settings)
    if model.kind == "built":
        return is_complete(folder)
    members = list(manifest.below(model.folder))
    try:
        written = (folder / SUMS).read_text()
        sizes = [(folder / member.name.removeprefix(f"{model.folder}/")).stat().st_size for member in members]
    except OSError:
        return False
    return written == _sums(model, members) and sizes == [member.size for member in members]


def _sums(model: ModelEntry, members: Sequence[Member]) -> str:
    return "".join(f"{member.sha256}  {member.name.removeprefix(f'{model.folder}/')}\n" for member in members)


def _engine(settings: Settings) -> Client:
    from labctl.images.engine import connect

    return connect(settings)


def _has(client: Client, image: ImageEntry) -> bool:
    """Our references change with what is in the image; those of a registry do not."""
    from labctl.images.archive import content_of
    from labctl.images.names import is_ours

    there = content_of(client, image.reference)
    return there is not None and (is_ours(image.name) or there == image.content)
