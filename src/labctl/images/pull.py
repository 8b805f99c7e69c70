"""Bringing an image from a registry to an engine, with one honest line about how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from labctl.errors import EngineError
from labctl.images.engine import engine_errors
from labctl.images.stream import watched
from labctl.progress import Progress, Step
from labctl.units import format_mib

if TYPE_CHECKING:
    from docker import DockerClient

MIB = 2**20


class Layers:
    """The layers of one pull: how much of each has come."""

    def __init__(self) -> None:
        self._sizes: dict[str, int] = {}
        self._come: dict[str, int] = {}

    def take(self, event: Mapping[str, Any]) -> None:
        """One event of the engine's stream."""
        layer, status = str(event.get("id", "")), str(event.get("status", ""))
        detail = event.get("progressDetail") or {}
        if status == "Downloading" and detail.get("total"):
            self._sizes[layer] = int(detail["total"])
            self._come[layer] = int(detail.get("current") or 0)
        elif status in ("Download complete", "Pull complete") and layer in self._sizes:
            self._come[layer] = self._sizes[layer]

    def __str__(self) -> str:
        """`12 MiB of 80 MiB`; empty as long as no size is known."""
        if not self._sizes:
            return ""
        come, size = (-(-sum(values.values()) // MIB) for values in (self._come, self._sizes))
        return f"{format_mib(come)} of {format_mib(size)}"


def pull(
    client: DockerClient, reference: str, progress: Progress, *, cancelled: Callable[[], bool] | None = None
) -> None:
    """Pull `reference`. Raises EngineError with the registry's own words; KeyboardInterrupt when `cancelled` says so."""
    from docker.utils import parse_repository_tag

    name = f"image {reference}"
    repository, tag = parse_repository_tag(reference)
    progress(Step(name=name, state="started", detail="pulling"))
    layers, last = Layers(), ""
    with _registry_errors(reference, name, progress), engine_errors():
        events = client.api.pull(repository, tag=tag or "latest", stream=True, decode=True)
        for event in watched(events, cancelled):
            if "error" in event:
                raise EngineError(str(event["error"]))
            layers.take(event)
            if str(layers) != last:  # an event comes for every few kilobytes
                last = str(layers)
                progress(Step(name=name, state="progress", detail=f"pulling: {last}"))
    progress(Step(name=name, state="done", detail=last and f"pulled {last.partition(' of ')[2]}"))


@contextmanager
def _registry_errors(reference: str, name: str, progress: Progress) -> Iterator[None]:
    """Says which image could not be pulled, and what to do where there is no registry."""
    try:
        yield
    except EngineError as error:
        said = error.what.removeprefix("the Docker engine refused: ")
        progress(Step(name=name, state="failed", detail=said))
        raise EngineError(
            f"{reference} could not be pulled: {said}",
            "is the name right, does this machine reach the registry, and has `docker login` been done? "
            "Without a registry: `docker save` it elsewhere and `docker load` it here",
        ) from error
