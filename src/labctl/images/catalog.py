"""The images of `docker/`: what there is, what each is made from, and the reference it has. Knows no engine."""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from labctl.checks.base import END, Model, NonEmpty
from labctl.errors import NotFoundError, UsageError
from labctl.images import own
from labctl.images.names import PREFIX, builtin_folder, is_ours
from labctl.labs import catalog as labs
from labctl.labs.digest import folder_digest
from labctl.labs.lab import validate
from labctl.labs.source import read_source
from labctl.labs.spec import ID_PATTERN, Id
from labctl.settings import Settings

IMAGE_FILE = "image.yaml"


class ImageSpec(Model):
    """What docker/NAME/image.yaml holds."""

    summary: NonEmpty
    base: Literal["python", "debian", "own"] = "own"
    """What its Dockerfile's BASE_IMAGE stands for. LABCTL_BASE_IMAGE takes the place of python and debian, never of own."""
    parent: Annotated[
        str | None, Field(alias="from", pattern=r"^docker/" + ID_PATTERN.removeprefix("^").removesuffix(END) + END)
    ] = None
    """An image of docker/ that is built first and becomes BASE_IMAGE, for example docker/vllm."""
    env: Id | dict[Literal["cpu", "gpu"], Id] | None = None
    """The environment of labs/envs/ that it contains, for both profiles or for each."""
    shared: list[Id] = []
    """Folders of docker/shared/ that go into its build context."""
    labctl: bool = False
    """Whether labctl itself goes into its build context: the package, the labs and the images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image of the project: the folder with its Dockerfile, and what its file says."""

    name: str
    folder: Path
    spec: ImageSpec

    @property
    def title(self) -> str:
        return f"{PREFIX}{self.name}"

    @property
    def parent(self) -> Image | None:
        """The image of the project that it is built on."""
        return find(self.spec.parent, self.folder.parent) if self.spec.parent else None

    @property
    def root(self) -> Path:
        """The folder of all images."""
        return self.folder.parent


def images(root: Path | None = None) -> list[Image]:
    """Every image by name. Raises LabFileError naming every mistake in an image.yaml."""
    return [_load(file.parent) for file in sorted((root or builtin_folder()).glob(f"*/{IMAGE_FILE}"))]


def find(name: str, root: Path | None = None) -> Image:
    """The image `name`, with or without `docker/`. Raises NotFoundError naming the ones there are."""
    folder = (root or builtin_folder()) / name.removeprefix(PREFIX)
    if folder.parent != (root or builtin_folder()) or not (folder / IMAGE_FILE).is_file():
        known = sorted(file.parent.name for file in (root or builtin_folder()).glob(f"*/{IMAGE_FILE}"))
        near = difflib.get_close_matches(name.removeprefix(PREFIX), known, n=1)
        guess = f"did you mean {PREFIX}{near[0]}? " if near else ""
        raise NotFoundError(f"no image named {name!r}", f"{guess}there are: {', '.join(PREFIX + n for n in known)}")
    return _load(folder)


def reference(image: str, profile: str, settings: Settings) -> str:
    """The reference under which an engine has `image`; one that is not ours is returned as it is. Raises NotFoundError.

    For example labctl/vllm:cpu-0123456789ab. The tag changes with everything that the image is made from.
    """
    return reference_of(find(image), profile, settings) if is_ours(image) else image


def reference_of(image: Image, profile: str, settings: Settings) -> str:
    """The reference under which an engine has this image of ours."""
    prefix = f"{profile}-" if _differs(image) else ""
    return f"{settings.registry or 'labctl'}/{image.name}:{prefix}{digest(image, profile, settings)[:12]}"


def digest(image: Image, profile: str, settings: Settings) -> str:
    """sha256 over the image's files, its environment, what it is built on, and the name of its base; no CA, no index."""
    parts = [folder_digest(image.folder), *(folder_digest(folder) for folder in shared_folders(image))]
    found = lock(image, profile)
    if found is not None:
        parts.append(hashlib.sha256(found.read_bytes()).hexdigest())
    if image.spec.labctl:
        parts.append(own.digest())
    parent = image.parent
    parts.append(digest(parent, profile, settings) if parent else base(image, profile, settings) or "")
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def base(image: Image, profile: str, settings: Settings) -> str | None:
    """What BASE_IMAGE is to be; None for the default of the Dockerfile."""
    parent = image.parent
    if parent is not None:
        return reference_of(parent, profile, settings)
    return settings.base_image if image.spec.base in ("python", "debian") else None


def lock(image: Image, profile: str) -> Path | None:
    """The requirements file of the environment it contains. Raises UsageError when it has none for this profile."""
    env = image.spec.env
    if isinstance(env, dict):
        if profile not in env:
            raise UsageError(f"{image.title} has no profile {profile!r}", f"it has: {', '.join(sorted(env))}")
        env = env["gpu" if profile == "gpu" else "cpu"]
    if env is None:
        return None
    file = labs.builtin_folder() / "envs" / f"{env}.txt"
    if not file.is_file():
        raise NotFoundError(f"{image.title}: no environment named {env!r}", "labs/envs/ holds them")
    return file


def shared_folders(image: Image) -> list[Path]:
    """The folders of docker/shared/ it uses. Raises NotFoundError for one that is not there."""
    folders = [image.root / "shared" / name for name in image.spec.shared]
    missing = next((folder for folder in folders if not folder.is_dir()), None)
    if missing is not None:
        raise NotFoundError(f"{image.title}: no folder {missing}", f"mend `shared` in its {IMAGE_FILE}")
    return folders


def _differs(image: Image) -> bool:
    """Whether the image of one profile is another than that of the other."""
    parent = image.parent
    return isinstance(image.spec.env, dict) or (parent is not None and _differs(parent))


def _load(folder: Path) -> Image:
    source = read_source(folder / IMAGE_FILE)
    return Image(name=folder.name, folder=folder, spec=validate(ImageSpec, source, source.data))
