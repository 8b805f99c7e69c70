"""A lab to attack: its sessions on the Docker engine, and what a learner types in them. For the tests of this folder."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import yaml

from labctl import settings as settings_of
from labctl.runtimes import table
from labctl.runtimes.base import ServiceState
from labctl.runtimes.docker import labels
from labctl.sessions.context import Context
from labctl.sessions.up import UpRequest, up
from labctl.sessions.view import SessionView, view
from labctl.store.records import Session
from labctl.store.store import Store
from labctl.target import Target
from tests.conftest import Clock

if TYPE_CHECKING:
    from docker.models.containers import Container

BASE = os.environ.get("LABCTL_BASE_IMAGE", "labctl-base:bookworm")
"""An image with python3 and bash; read before the tests hide the user's own LABCTL_… settings."""
LAB = "attacked"
MEMORY_MIB = 256
DISK_MIB = 8
KEPT = {"checks": "expected.txt", "solution": "answer.txt", "mutants": "wrong/answer.txt"}
"""Files of the lab that no learner may see."""

_DOCKERFILE = f"""\
FROM {BASE}
RUN cp "$(readlink -f "$(command -v python3)")" /usr/local/bin/rootpython && chmod 4755 /usr/local/bin/rootpython
VOLUME /volume
"""
_WAITS_TO_EAT = "import os, time\nwhile not os.path.exists('eat'): time.sleep(0.05)\nprint(len(b'x' * 2_000_000_000))"


def missing() -> str:
    """Why these tests cannot run here, with what to do; empty when they can."""
    try:
        docker.from_env().images.get(BASE)
    except docker.errors.ImageNotFound:
        return f"Docker has no image {BASE} with python3: build one, or name one in LABCTL_BASE_IMAGE"
    except docker.errors.DockerException as error:
        return f"no Docker engine answers here ({str(error)[:100]}): start dockerd, or set DOCKER_HOST"
    return ""


@contextmanager
def image() -> Iterator[str]:
    """An image with what an attacker would wish for: a setuid-root Python, and a volume."""
    client = docker.from_env()
    name = f"labctl-test-attacked:{os.getpid()}"
    made, _log = client.images.build(fileobj=io.BytesIO(_DOCKERFILE.encode()), tag=name, rm=True)
    try:
        yield name
    finally:
        client.images.remove(str(made.id), force=True)


class Attacked:
    """A LABCTL_HOME below `folder` with a lab whose containers are made from `image`."""

    def __init__(self, folder: Path, image: str) -> None:
        self.folder = folder
        _write(folder / "labs" / LAB, image)
        environ = {
            "LABCTL_HOME": str(folder / "home"),
            "LABCTL_LABS": str(folder / "labs"),
            "LABCTL_WORKSPACES": str(folder / "work"),
            "LABCTL_LEARNER": "ada",
            "LABCTL_RUNTIME": "docker",
            "LABCTL_BASE_IMAGE": BASE,
            "XDG_CONFIG_HOME": str(folder / "config"),
        } | ({"DOCKER_HOST": os.environ["DOCKER_HOST"]} if "DOCKER_HOST" in os.environ else {})
        self.settings = settings_of.load(environ)
        self.runtime = table.get("docker", self.settings)
        self.ctx = Context(
            settings=self.settings, store=Store(self.settings), runtime=lambda _name: self.runtime, now=Clock()
        )
        self.client = docker.from_env()

    def up(self, learner: str = "ada", **choices: Any) -> SessionView:
        return up(self.ctx, UpRequest(lab=LAB, learner=learner, **choices), lambda _step: None)

    def session(self, learner: str = "ada") -> Session:
        found = self.ctx.store.session(f"{LAB}--{learner}")
        assert found
        return found

    def service(self, name: str, learner: str = "ada") -> ServiceState:
        return next(each for each in view(self.ctx, self.session(learner)).services if each.name == name)

    def workspace(self, learner: str = "ada") -> Path:
        return Path(self.session(learner).workspace)

    def target(self, learner: str = "ada") -> Target:
        return self.runtime.target(self.session(learner).handle)

    def containers(self, learner: str = "ada") -> dict[str, Container]:
        """By part, those that the engine has now."""
        found = self.client.containers.list(all=True, filters=self._marks(learner))
        return {each.labels[labels.SERVICE]: each for each in found}

    def network(self, learner: str = "ada") -> dict[str, Any]:
        """The session's network as the engine describes it."""
        (found,) = self.client.api.networks(filters=self._marks(learner))
        seen: dict[str, Any] = self.client.api.inspect_network(found["Id"])
        return seen

    def addresses(self, learner: str = "ada") -> list[str]:
        """Where the session's containers are on its network."""
        return [each["IPv4Address"].partition("/")[0] for each in self.network(learner)["Containers"].values()]

    def types(self, script: str, *arguments: str, part: str = "workspace", learner: str = "ada") -> str:
        """What a Python script prints that the learner runs in a container of the session, errors included."""
        command = ["python3", "-c", script, *arguments]
        return self.runs(command, part, learner).strip()

    def runs(self, command: Sequence[str], part: str = "workspace", learner: str = "ada") -> str:
        """What a command prints in a container of the session."""
        output: Any = self.containers(learner)[part].exec_run(list(command), workdir=self.inside).output
        return str(output.decode(errors="replace"))

    @property
    def inside(self) -> str:
        """The workspace as containers have it."""
        paths: dict[str, str] = self.session().handle["paths"]
        return next(inside for inside, outside in paths.items() if outside == str(self.workspace()))

    @contextmanager
    def check_at_work(self) -> Iterator[Container]:
        """The container of a check's command, while the command runs."""
        script = "touch begun; while [ ! -e go ]; do sleep 0.05; done"
        thread = threading.Thread(target=lambda: self.target().run(["sh", "-c", script], timeout_s=60))
        thread.start()
        try:
            until(lambda: (self.workspace() / "begun").exists())
            yield self.containers()["check"]
        finally:
            (self.workspace() / "go").touch()
            thread.join()
            for name in ("begun", "go"):
                (self.workspace() / name).unlink(missing_ok=True)

    def end(self) -> None:
        """Afterwards the engine has nothing of this home."""
        for session in {remain.session for remain in self.runtime.remains()}:
            self.runtime.down({"session": session}, lambda _step: None)
        assert self.runtime.remains() == []

    def _marks(self, learner: str) -> Any:
        """A filter for the engine's lists."""
        return labels.matching(labels.of_session(self.settings.home, f"{LAB}--{learner}"))


def until(holds: Callable[[], bool], *, within_s: float = 30.0) -> None:
    """Return as soon as `holds()`; AssertionError when it does not in time."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def _write(lab: Path, image: str) -> None:
    for folder, name in {**KEPT, "workspace": "readme.txt", "data": "table.csv"}.items():
        (lab / folder / name).parent.mkdir(parents=True, exist_ok=True)
        (lab / folder / name).write_text(f"{folder}\n")
    served = ["python3", "-m", "http.server", "{{ port('http') }}"]
    file = {
        "title": "A lab to attack",
        "stage": 0,
        "minutes": 1,
        "profiles": {"cpu": {"memory": f"{MEMORY_MIB}MiB", "disk": f"{DISK_MIB}MiB", "cpus": 1.0}},
        "workspace": {"image": image},
        "services": {
            "web": {"image": image, "command": served, "ports": {"http": 8000}, "healthcheck": {"http": "/", "interval": "50ms"}},
            "hog": {"image": image, "command": ["python3", "-c", _WAITS_TO_EAT], "restart": "no", "mem_limit": "64MiB"},
        },
        "criteria": [{"id": "there", "text": "t", "points": 1, "hint": "h", "checks": [{"file": {"path": "made"}}]}],
    }  # fmt: skip
    (lab / "lab.yaml").write_text(yaml.safe_dump(file, sort_keys=False))
