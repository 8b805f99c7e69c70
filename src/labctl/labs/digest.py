"""What a lab is made of, as one hash. Light: the standard library only, an `up` with nothing to do waits for it."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path


def folder_digest(folder: Path) -> str:
    """sha256 over the relative names and contents of all files below `folder`, in order; caches, links and FIFOs are left out."""
    digest = hashlib.sha256()
    for path in sorted(_files(folder)):
        digest.update(os.fsencode(path.relative_to(folder)) + f"\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def fingerprint(lab: Path, builtin: Path, more: Iterable[str]) -> str:
    """One hash of everything a plan of the lab in folder `lab` is made from: its files, environments, models and `more`."""
    shared = [place / kind for place in dict.fromkeys((lab.parent, builtin)) for kind in ("envs", "models")]
    parts = [folder_digest(folder) for folder in (lab, *shared) if folder.is_dir()]
    return hashlib.sha256("\0".join((*parts, *more)).encode()).hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__" and not name.startswith(".")]
        yield from (path for path in (Path(root, name) for name in files) if stat.S_ISREG(path.lstat().st_mode))
