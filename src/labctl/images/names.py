"""How lab files name images of this project. Light: a session that runs as planned needs no more than this."""

from __future__ import annotations

from pathlib import Path

PREFIX = "docker/"
INGRESS = "docker/ingress"
"""The image that publishes ports of sessions whose own network leads nowhere."""


def is_ours(image: str) -> bool:
    """Whether `image` means a folder of docker/ and not a registry's reference."""
    return image.startswith(PREFIX)


def builtin_folder() -> Path:
    """The images that travel with labctl: inside the wheel, or beside `src/` in a checkout."""
    packaged = Path(__file__).resolve().parent.parent / "_data" / "docker"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[3] / "docker"
