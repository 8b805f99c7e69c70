"""A model hub's models that somebody has put on this host (`LABCTL_MODELS`), so that no hub need be asked."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def on_host(names: Iterable[str], folder: Path | None) -> dict[str, str]:
    """Those of `names` that lie in `folder`: id → path."""
    found = {name: folder / name for name in names} if folder else {}
    return {name: str(path) for name, path in found.items() if path.is_dir()}
