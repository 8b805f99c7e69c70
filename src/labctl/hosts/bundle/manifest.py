"""What a bundle holds, as its first file says it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError

from labctl.checks.base import Model
from labctl.errors import LabFileError

MANIFEST, SUMS, IMAGES = "manifest.json", "SHA256SUMS", "images.tar"
MAX_MANIFEST_BYTES = 64 * 2**20


def _inner(name: str) -> str:
    """A relative path that stays where it is put."""
    path = PurePosixPath(name)
    is_plain = str(path) == name and name.isprintable() and not path.is_absolute() and ".." not in path.parts
    if not is_plain or name == ".":
        raise ValueError(f"{name!r} is no relative path")
    return name


Name = Annotated[str, AfterValidator(_inner)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Member(Model):
    """One file: its name in the tar file, its size in bytes, its sum."""

    name: Name
    size: Annotated[int, Field(ge=0)]
    sha256: Sha256


class ImageEntry(Model):
    """An image in images.tar: what a lab file calls it, the reference it is saved under, and what stands for its content."""

    name: str
    reference: str
    content: str


class ModelEntry(Model):
    """A model: `built` by labctl (`name` is the folder below LABCTL_HOME/models), or of a `hub` (below LABCTL_MODELS)."""

    name: Name
    kind: Literal["built", "hub"]

    @property
    def folder(self) -> str:
        """Where its files are in the tar file."""
        return f"models/{self.kind}/{self.name}"


class Manifest(Model):
    """Everything but the bytes. `python` and `platform` are what the wheels fit; `base_image` and `registry` the settings
    that the images' references come from.
    """

    form: Literal[1] = 1  # raise it when bundles are made in a way that an older labctl would misread
    labctl: str
    python: str
    platform: str
    profile: str
    labs: list[str]
    base_image: str | None
    registry: str | None
    images: list[ImageEntry]
    models: list[ModelEntry]
    members: list[Member]

    def text(self) -> str:
        return self.model_dump_json(indent=1) + "\n"

    @property
    def digest(self) -> str:
        """sha256 of the manifest: with the sums in it, of the whole bundle."""
        return hashlib.sha256(self.text().encode()).hexdigest()

    @property
    def sums(self) -> str:
        """What `sha256sum -c` reads."""
        return "".join(f"{member.sha256}  {member.name}\n" for member in self.members)

    @property
    def size(self) -> int:
        """Bytes of content."""
        return sum(member.size for member in self.members)

    def below(self, folder: str) -> Iterator[Member]:
        """The members in a folder of the bundle."""
        return (member for member in self.members if member.name.startswith(f"{folder}/"))


def read(text: bytes, where: str) -> Manifest:
    """The manifest in `text`. Raises LabFileError for what is none, or one of another labctl's."""
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise LabFileError(
            f"{where}: {MANIFEST} is none that this labctl reads: {place}: {first['msg']}",
            "bundle and unbundle with the same version of labctl; its wheel is in the bundle",
        ) from error
