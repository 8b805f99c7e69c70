"""Getting an image onto an engine that lacks it: pulled when it is a registry's, built when it is ours. Once, whoever asks."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl import __version__
from labctl.disk import locked
from labctl.errors import EngineError
from labctl.images import catalog, context
from labctl.images.catalog import Image
from labctl.images.engine import engine_errors, is_present
from labctl.images.names import is_ours
from labctl.images.pull import Layers, pull
from labctl.images.stream import watched
from labctl.progress import Progress, Step
from labctl.settings import Settings

if TYPE_CHECKING:
    from docker import DockerClient

Cancelled = Callable[[], bool]
_STEP = re.compile(r"^Step (\d+)/(\d+) : (.*)")
_MADE = re.compile(r"^ ---> ([0-9a-f]{12,64})$")
_NOISE = re.compile(r"^\s*(--->|Removing intermediate container|\[Warning\]|Successfully (built|tagged))")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_NO_BASE = re.compile(
    r"pull access denied|manifest unknown|not found|no such host|connection refused|Client\.Timeout|EOF|x509|dial tcp"
)
_KEPT_LINES = 40
_SHOWN_LINES = 10


def ensure(
    client: DockerClient,
    image: str,
    profile: str,
    settings: Settings,
    progress: Progress,
    *,
    cancelled: Cancelled | None = None,
) -> str:
    """The reference under which the engine has `image` now; pulled or built when it lacked it. May be called again.

    Raises EngineError (no engine, build or pull failed), NotFoundError (no such image of ours), KeyboardInterrupt.
    """
    if is_ours(image):
        return ensure_ours(client, catalog.find(image), profile, settings, progress, cancelled=cancelled)
    if is_present(client, image):
        progress(Step(name=f"image {image}", state="unchanged"))
        return image
    with _alone(image, image, settings, progress, cancelled):
        if is_present(client, image):
            progress(Step(name=f"image {image}", state="done", detail="pulled by another labctl"))
        else:
            pull(client, image, progress, cancelled=cancelled)
    return image


def ensure_ours(
    client: DockerClient,
    image: Image,
    profile: str,
    settings: Settings,
    progress: Progress,
    *,
    cancelled: Cancelled | None = None,
) -> str:
    """The same for an image of ours: what it is built on comes first."""
    reference = catalog.reference_of(image, profile, settings)
    if is_present(client, reference):
        progress(Step(name=f"image {reference}", state="unchanged"))
        return reference
    if settings.registry and _pulled(client, reference, progress, cancelled):
        return reference
    if image.parent is not None:
        ensure_ours(client, image.parent, profile, settings, progress, cancelled=cancelled)
    # One build at a time: two on one disk and one network take as long, and the end of one takes layers of another away.
    with _alone("build", reference, settings, progress, cancelled):
        if is_present(client, reference):
            progress(Step(name=f"image {reference}", state="done", detail="built by another labctl"))
        else:
            build(client, image, profile, settings, progress, cancelled=cancelled)
    return reference


def build(
    client: DockerClient,
    image: Image,
    profile: str,
    settings: Settings,
    progress: Progress,
    *,
    cancelled: Cancelled | None = None,
) -> str:
    """Build `image` on what the engine already has; its reference, which it bears only when all of it succeeded.

    Raises EngineError with the step that failed and the last lines it wrote.
    """
    reference = catalog.reference_of(image, profile, settings)
    name = f"image {reference}"
    progress(Step(name=name, state="started", detail="building"))
    told = _Told(progress, name)
    packed = closing(context.pack(image, profile, _scratch(settings)))
    with packed as files, _failure(image, reference, told), engine_errors():
        events = client.api.build(
            fileobj=files,
            custom_context=True,
            encoding=None,
            decode=True,
            rm=True,
            forcerm=True,
            tag=reference,
            dockerfile=context.dockerfile(image),
            buildargs=context.arguments(image, profile, settings),
            labels=_labels(image),
        )
        for event in watched(events, cancelled):
            told.take(event)
    _remove_stages(client, told.stages)
    progress(Step(name=name, state="done", detail=told.steps))
    return reference


def _remove_stages(client: DockerClient, stages: list[str]) -> None:
    """Remove what build stages leave on the engine: as much again as the image, with the index's address in its history."""
    import docker.errors

    for stage in stages:
        with contextlib.suppress(docker.errors.APIError):  # used by another image, or gone
            if not client.images.get(stage).tags:  # a stage that adds nothing is the base itself
                client.images.remove(stage)


class _Told:
    """What the builder has said so far, as one line of progress and as the lines before a failure."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress, self._name = progress, name
        self._layers = Layers()
        self.step = ""
        self.steps = ""
        self.stages: list[str] = []
        self._made = ""
        self.lines: deque[str] = deque(maxlen=_KEPT_LINES)

    def take(self, event: Mapping[str, Any]) -> None:
        if "error" in event:
            raise EngineError(str(event["error"]).strip())
        if "status" in event:  # the base is being pulled
            self._layers.take(event)
            self._say(f"pulling: {self._layers}")
        for line in re.split(r"[\r\n]+", _ESCAPES.sub("", str(event.get("stream", "")))):
            self._line(line.rstrip())

    def _line(self, line: str) -> None:
        step = _STEP.match(line)
        if step:
            number, count, instruction = step.groups()
            if instruction.upper().startswith("FROM ") and self._made:
                self.stages.append(self._made)
            self.steps = f"{count} steps"
            self.step = f"step {number}/{count} {_short(instruction)}"
            self.lines.clear()
            self._say("")
        elif made := _MADE.match(line):
            self._made = made[1]
        elif line.strip() and not _NOISE.match(line):
            self.lines.append(line)
            self._say(line.strip())

    def failed(self, why: str) -> None:
        """The last line of progress."""
        self._progress(Step(name=self._name, state="failed", detail=f"{self.step}: {why}"[:200]))

    def _say(self, last: str) -> None:
        self._progress(Step(name=self._name, state="progress", detail=f"{self.step}: {last}"[:200].removesuffix(": ")))


@contextmanager
def _failure(image: Image, reference: str, told: _Told) -> Iterator[None]:
    """Says which step failed, with its last lines and what would help."""
    try:
        yield
    except EngineError as error:
        step = told.step or "before its first step"
        told.failed(error.what)
        lines = [f"image {reference} could not be built, {step}:", *list(told.lines)[-_SHOWN_LINES:], error.what]
        raise EngineError("\n    ".join(lines), _remedy(image, told.step, error)) from error


def _remedy(image: Image, step: str, error: EngineError) -> str:
    if "disk is full" in error.what:
        return error.hint
    if " FROM " not in f"{step} " or not _NO_BASE.search(error.what):
        return "the lines above are the builder's; docker/README.md says what builds need of the network"
    if image.spec.base == "own":
        return (
            "its base is only in a public registry, which this machine does not reach: `docker pull` and `docker save` it "
            "on one that does, and `docker load` it here"
        )
    return "set LABCTL_BASE_IMAGE to an image that this engine has; scripts/make-base-image.sh makes one without a registry"


@contextmanager
def _alone(
    work: str, reference: str, settings: Settings, progress: Progress, cancelled: Cancelled | None
) -> Iterator[None]:
    """Holds the lock of `work`, so that neither threads nor processes of labctl do it at the same time."""
    file = _scratch(settings) / f".{hashlib.sha256(work.encode()).hexdigest()[:16]}.lock"

    def waiting() -> None:
        progress(Step(name=f"image {reference}", state="progress", detail="waiting for another one to finish"))
        while cancelled is not None and _is_held(file):
            if cancelled():
                raise KeyboardInterrupt
            time.sleep(0.2)

    with locked(file, waiting):
        yield


def _is_held(file: Path) -> bool:
    """Whether somebody holds the lock on `file`."""
    with file.open("rb") as probe:
        try:
            fcntl.flock(probe, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _scratch(settings: Settings) -> Path:
    folder = settings.home / "cache" / "images"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _pulled(client: DockerClient, reference: str, progress: Progress, cancelled: Cancelled | None) -> bool:
    """Whether the registry had it. When it had not, the progress says why, and the image is built."""

    def told(step: Step) -> None:
        failed = replace(step, state="progress", detail=f"built here, for the registry has it not: {step.detail}"[:200])
        progress(failed if step.state == "failed" else step)

    try:
        pull(client, reference, told, cancelled=cancelled)
    except EngineError:
        return False
    return True


def _labels(image: Image) -> dict[str, str]:
    return {
        "labctl.image": image.name,
        "org.opencontainers.image.title": f"labctl {image.name}",
        "org.opencontainers.image.description": image.spec.summary,
        "org.opencontainers.image.version": __version__,
    }


def _short(instruction: str) -> str:
    """An instruction's first words: a RUN may go on for lines."""
    words = " ".join(instruction.split())
    return words if len(words) <= 60 else f"{words[:59]}…"
