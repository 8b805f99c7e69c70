"""Folders of this host as ConfigMaps, and the volume that shows them in a pod as the folders they are."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labctl.errors import LabFileError

MAX_BYTES = 900_000
"""Of one ConfigMap: the API takes 1 MiB with everything around it."""
_LEFT_OUT = ("__pycache__",)
_KEY = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file: its place below the folder, the key in its ConfigMap, and what is in it."""

    path: str
    key: str
    content: bytes
    executable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder as it goes into the cluster: `maps` are the files of each ConfigMap, named `name`, `name-2`, …"""

    name: str
    maps: tuple[tuple[File, ...], ...]

    def manifests(self) -> list[dict[str, Any]]:
        """A ConfigMap each."""
        return [_config_map(name, files) for name, files in self._named()]

    def volume(self) -> dict[str, Any]:
        """What shows the files at their places."""
        sources = [{"configMap": {"name": name, "items": [_item(f) for f in files]}} for name, files in self._named()]
        return {"name": self.name, "projected": {"defaultMode": 0o444, "sources": sources}}

    def _named(self) -> Iterator[tuple[str, Sequence[File]]]:
        for number, files in enumerate(self.maps, 1):
            yield (self.name if number == 1 else f"{self.name}-{number}"), files


def read(name: str, folder: Path, shown: Sequence[str] | None = None) -> Folder:
    """The folder, or only the entries `shown` of it; links, hidden files and caches are left out.

    Raises LabFileError for a file that no ConfigMap can hold.
    """
    tops = sorted(entry.name for entry in folder.iterdir()) if shown is None else sorted(shown)
    files, keys = [], set[str]()
    for file in (file for top in tops for file in _files(folder / top)):
        path = file.relative_to(folder).as_posix()
        content = file.read_bytes()
        if len(content) > MAX_BYTES:
            raise LabFileError(
                f"{file} has {len(content)} bytes, and Kubernetes takes {MAX_BYTES} from a lab's file",
                "have a service make it when it starts, or put it into the image",
            )
        key = _free(_KEY.sub("_", path.replace("/", "__"))[-240:], keys)
        keys.add(key)
        files.append(File(path=path, key=key, content=content, executable=bool(file.stat().st_mode & 0o100)))
    return Folder(name=name, maps=tuple(_packed(files)))


def _files(place: Path) -> Iterator[Path]:
    if place.is_symlink() or place.name.startswith(".") or place.name in _LEFT_OUT:
        return
    if place.is_dir():
        for entry in sorted(place.iterdir()):
            yield from _files(entry)
    elif place.is_file():
        yield place


def _packed(files: Sequence[File]) -> Iterator[tuple[File, ...]]:
    """At least one, which may be empty: what mounts the folder finds it."""
    pack: list[File] = []
    size = 0
    for file in files:
        weight = len(file.content) + len(file.key)
        if pack and size + weight > MAX_BYTES:
            yield tuple(pack)
            pack, size = [], 0
        pack.append(file)
        size += weight
    yield tuple(pack)


def _config_map(name: str, files: Sequence[File]) -> dict[str, Any]:
    texts = {file.key: text for file in files if (text := _text(file.content)) is not None}
    bytes_ = {file.key: base64.b64encode(file.content).decode() for file in files if file.key not in texts}
    data = {**({"data": texts} if texts else {}), **({"binaryData": bytes_} if bytes_ else {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **data}


def _text(content: bytes) -> str | None:
    """What can stand in a YAML file as text; None for anything else."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return text if all(char.isprintable() or char in "\n\t" for char in text) else None


def _item(file: File) -> dict[str, Any]:
    return {"key": file.key, "path": file.path, **({"mode": 0o555} if file.executable else {})}


def _free(key: str, taken: set[str]) -> str:
    return key if key not in taken else next(n for i in range(2, 10_000) if (n := f"{key}-{i}") not in taken)
