"""Images as one tar file: out of an engine, and into one. Layers that several of them share are in it once."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from labctl.errors import EngineError
from labctl.images.engine import engine_errors

if TYPE_CHECKING:
    from docker import DockerClient

_CHUNK = 2**20
_CONFIG = (
    "Cmd",
    "Entrypoint",
    "Env",
    "ExposedPorts",
    "Healthcheck",
    "Labels",
    "StopSignal",
    "User",
    "Volumes",
    "WorkingDir",
)
_TIMEOUT_S = 3600
"""Before its first byte an engine has written all layers to its own disk."""


def content_of(client: DockerClient, reference: str) -> str | None:
    """What stands for the content of the image that the engine has under this reference; None when it has none. Raises EngineError.

    The id of an image will not do: it is the sum of its configuration on one engine, and of its manifest, which `docker load` makes anew, on
    an engine that keeps images in containerd (the default from Docker 29).
    """
    import docker.errors

    with engine_errors():
        try:
            shown = client.images.get(reference).attrs
        except docker.errors.ImageNotFound:
            return None
    config = shown.get("Config") or {}
    told = [shown.get("Os"), shown.get("Architecture"), (shown.get("RootFS") or {}).get("Layers")]
    told += [config.get(name) or None for name in _CONFIG]
    return f"sha256:{hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()}"


def save(client: DockerClient, references: Sequence[str], target: Path, on_bytes: Callable[[int], None]) -> None:
    """Write these images with their references to `target`, which is there only when it is whole. Raises EngineError."""
    beside = target.with_name(f".{target.name}.saving")
    with engine_errors(), beside.open("wb") as out:
        api = client.api
        url = f"{api.base_url}/v{api.api_version}/images/get"
        with api.get(url, params={"names": list(references)}, stream=True, timeout=_TIMEOUT_S) as answer:
            if not answer.ok:
                raise EngineError(
                    f"the Docker engine saves no images: {answer.text[:300]}", "`docker images` shows them"
                )
            for piece in answer.iter_content(_CHUNK):
                out.write(piece)
                on_bytes(len(piece))
    os.replace(beside, target)  # noqa: PTH105 - says that it replaces


def load(client: DockerClient, source: IO[bytes], on_bytes: Callable[[int], None]) -> None:
    """Give the engine what `save` wrote. Raises EngineError with the engine's own words."""
    client.api.timeout = _TIMEOUT_S
    with engine_errors():
        api: Any = client.api
        for event in api.load_image(_pieces(source, on_bytes)):
            if "error" in event:
                raise EngineError(
                    f"the Docker engine loads no images: {event['error']}", "`docker info` shows its state"
                )


def tag(client: DockerClient, reference: str, other: str) -> None:
    """Give the image a second reference. Raises EngineError."""
    from docker.utils import parse_repository_tag

    repository, name = parse_repository_tag(other)
    with engine_errors():
        client.images.get(reference).tag(repository, tag=name or "latest")


def _pieces(source: IO[bytes], on_bytes: Callable[[int], None]) -> Iterator[bytes]:
    while piece := source.read(_CHUNK):
        on_bytes(len(piece))
        yield piece
