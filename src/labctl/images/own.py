"""labctl itself as files of a build: its package, the labs and the images, alike from a checkout and from an installed wheel."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from labctl.images.names import builtin_folder as images
from labctl.labs.catalog import builtin_folder as labs

PACKAGE = Path(__file__).resolve().parent.parent
_DATA = "_data"
"""Where a wheel has the labs and the images; in a checkout they stand beside `src/`."""


def files() -> Iterator[tuple[str, Path]]:
    """Every file with its name in a checkout, in order; caches, links and hidden folders are left out."""
    for name, folder in (("docker", images()), ("labs", labs()), ("src/labctl", PACKAGE)):
        for path in sorted(_below(folder)):
            yield f"{name}/{path.relative_to(folder).as_posix()}", path


def digest() -> str:
    """sha256 over the names and contents of `files`."""
    found = hashlib.sha256()
    for name, path in files():
        found.update(f"{name}\0{path.stat().st_size}\0".encode())
        found.update(path.read_bytes())
    return found.hexdigest()


def _below(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in ("__pycache__", _DATA) and not name.startswith(".")]
        yield from (path for path in (Path(root, name) for name in names) if path.is_file() and not path.is_symlink())
