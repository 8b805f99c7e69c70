"""What each runtime brings to the suite: settings that choose it, and accidents that only it can stage.

A new runtime is one class here and one line in ENGINES.
"""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import signal
import time
import warnings
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from labctl.errors import EngineError
from labctl.runtimes import table
from labctl.runtimes.base import Runtime
from labctl.settings import Settings
from labctl.testing.runtime import FakeRuntime
from tests.conformance.labs import IMAGE

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

    from labctl.runtimes.kubernetes.api import Api
    from labctl.runtimes.kubernetes.namespace import Namespace
    from labctl.runtimes.kubernetes.seen import Seen


class Engine(Protocol):
    """A runtime's engine, from the side of its accidents."""

    name: str
    """What LABCTL_RUNTIME is set to."""
    real: bool
    """Services are programs that run. Otherwise nothing that depends on what they do can be seen."""
    apart: bool
    """The engine lives on its own: while it is gone, `up` cannot bring it back."""
    maps_users: bool
    """Services run as the workspace's owner, whoever calls labctl."""

    def missing(self) -> str:
        """Why the suite cannot run on it here, with what to do; empty when it can."""
        ...

    def environ(self) -> dict[str, str]:
        """What labctl's environment needs besides a home, so that it finds this engine as it is now."""
        ...

    def runtime(self, settings: Settings) -> Runtime:
        """The runtime on this engine."""
        ...

    def kill(self, settings: Settings, session: str, service: str) -> None:
        """End a service as an accident would, behind the runtime's back."""
        ...

    def identity(self, settings: Settings, session: str, service: str) -> str:
        """What changes when the service is started again: its process, its container. Empty when there is none."""
        ...

    def lose_parts(self, settings: Settings, session: str) -> None:
        """Take away some of what `up` made: files, containers, networks."""
        ...

    def break_engine(self, settings: Settings, session: str) -> None:
        """Make the engine unreachable."""
        ...

    def mend_engine(self) -> None:
        """Make it reachable again, where the runtime does not do so itself."""
        ...

    def close(self) -> None:
        """Close connections that are still open, at the end."""
        ...


class FakeEngine:
    """Dictionaries, one runtime a LABCTL_HOME."""

    name, real, apart, maps_users = "local", False, True, False

    def __init__(self) -> None:
        self._runtimes: dict[Path, FakeRuntime] = {}

    def missing(self) -> str:
        return ""

    def environ(self) -> dict[str, str]:
        return {}

    def runtime(self, settings: Settings) -> FakeRuntime:
        return self._runtimes.setdefault(settings.home, FakeRuntime())

    def kill(self, settings: Settings, session: str, service: str) -> None:
        self.runtime(settings).kill(session, service)

    def identity(self, settings: Settings, session: str, service: str) -> str:
        fake = self.runtime(settings)
        is_there = service in fake.running.get(session, {})
        return f"start {fake.starts[session, service]}" if is_there else ""

    def lose_parts(self, settings: Settings, session: str) -> None:
        self.runtime(settings).running[session].popitem()

    def break_engine(self, settings: Settings, session: str) -> None:
        self.runtime(settings).gone = True

    def mend_engine(self) -> None:
        for runtime in self._runtimes.values():
            runtime.gone = False

    def close(self) -> None:
        pass


class LocalEngine:
    """Processes of this user under one supervisord a session."""

    name, real, apart, maps_users = "local", True, False, False

    def missing(self) -> str:
        return ""

    def environ(self) -> dict[str, str]:
        return {}

    def runtime(self, settings: Settings) -> Runtime:
        return table.get(self.name, settings)

    def kill(self, settings: Settings, session: str, service: str) -> None:
        os.kill(_supervised(settings, session)[service].pid, signal.SIGKILL)

    def identity(self, settings: Settings, session: str, service: str) -> str:
        process = _supervised(settings, session).get(service)
        return f"{process.pid} since {process.started_at}" if process and process.pid else ""

    def lose_parts(self, settings: Settings, session: str) -> None:
        root = settings.home / "sessions" / session
        self.kill(settings, session, "web")
        for name in ("supervisor.sock", "handle.json", "supervisord.conf", "ports.json"):
            (root / name).unlink()
        shutil.rmtree(root / "run")

    def break_engine(self, settings: Settings, session: str) -> None:
        pid = (settings.home / "sessions" / session / "supervisord.pid").read_text()
        os.kill(int(pid), signal.SIGKILL)

    def mend_engine(self) -> None:
        pass

    def close(self) -> None:
        pass


class DockerEngine:
    """Containers of the Docker engine that DOCKER_HOST names."""

    name, real, apart, maps_users = "docker", True, True, True

    def __init__(self) -> None:
        self._own_address = self._address = os.environ.get("DOCKER_HOST")
        self._made: list[Any] = []

    @cached_property
    def _client(self) -> DockerClient:
        import docker

        return docker.from_env()

    def missing(self) -> str:
        if self.name not in table.RUNTIMES:
            return "this labctl has no docker runtime yet"
        try:
            return self._image_missing()
        finally:
            _drop_failed_connections()

    def _image_missing(self) -> str:
        import docker

        try:
            self._client.images.get(IMAGE)
        except docker.errors.ImageNotFound:
            return f"Docker has no image {IMAGE} with python3: `bash scripts/make-base-image.sh`, or name one in LABCTL_BASE_IMAGE"
        except docker.errors.DockerException:
            return "no Docker engine answers here: start dockerd (`apt-get install docker.io`), or set DOCKER_HOST"
        return ""

    def environ(self) -> dict[str, str]:
        return {"LABCTL_BASE_IMAGE": IMAGE, **({"DOCKER_HOST": self._address} if self._address else {})}

    def runtime(self, settings: Settings) -> Runtime:
        made = table.get(self.name, settings)
        self._made.append(made)
        return made

    def kill(self, settings: Settings, session: str, service: str) -> None:
        self._container(settings, session, service).kill()

    def identity(self, settings: Settings, session: str, service: str) -> str:
        found = self._containers(settings, session, service)
        return f"{found[0].id} since {found[0].attrs['State']['StartedAt']}" if found else ""

    def lose_parts(self, settings: Settings, session: str) -> None:
        web = self._container(settings, session, "web")
        networks = [network["NetworkID"] for network in web.attrs["NetworkSettings"]["Networks"].values()]
        web.remove(force=True, v=True)
        for network in networks:
            found = self._client.networks.get(network)
            for other in found.containers:
                found.disconnect(other, force=True)
            found.remove()

    def break_engine(self, settings: Settings, session: str) -> None:
        self._address = f"unix://{settings.home}/nobody.sock"

    def mend_engine(self) -> None:
        if self._address != self._own_address:
            _drop_failed_connections()
        self._address = self._own_address

    def close(self) -> None:
        for holder, name in [(self, "_client"), *((runtime._engine, "client") for runtime in self._made)]:
            if name in vars(holder):  # a cached property: there is none to close where nobody asked for it
                getattr(holder, name).close()

    def _container(self, settings: Settings, session: str, service: str) -> Container:
        return self._containers(settings, session, service)[0]

    def _containers(self, settings: Settings, session: str, service: str) -> list[Container]:
        from labctl.runtimes.docker.labels import home_id

        labels = [f"labctl.session={session}", f"labctl.service={service}", f"labctl.home={home_id(settings.home)}"]
        return self._client.containers.list(all=True, filters={"label": labels})


class KubernetesEngine:
    """A cluster that KUBECONFIG names, whose one node is this machine, or sees its folders at the same path."""

    name, real, apart, maps_users = "kubernetes", True, True, True

    def __init__(self) -> None:
        self._config = os.environ.get("KUBECONFIG", "")
        self._made: list[Any] = []
        self._is_broken = False

    @cached_property
    def _api(self) -> Api:
        from labctl.runtimes.kubernetes.api import Api

        return Api(self._config)

    def missing(self) -> str:
        if not self._config:
            return "KUBECONFIG names no cluster: start one (kind, k3d, …) and export KUBECONFIG=/its/file"
        if shutil.which("kubectl") is None:
            return "there is no kubectl on PATH: https://kubernetes.io/docs/tasks/tools/"
        if not self.has_image(IMAGE):
            return f"the cluster's node has no image {IMAGE}: load it (`kind load docker-image {IMAGE}`)"
        return ""

    def has_image(self, wanted: str) -> bool:
        """Whether a node says that it has it."""
        images = [image for node in self._api.items("Node") for image in node["status"].get("images") or []]
        return any(name.endswith(wanted) for image in images for name in image["names"] or [])

    def environ(self) -> dict[str, str]:
        config = "/nowhere/config" if self._is_broken else self._config
        return {"LABCTL_BASE_IMAGE": IMAGE, "LABCTL_WORKSPACE_VOLUME": "host", "KUBECONFIG": config}

    def runtime(self, settings: Settings) -> Runtime:
        return table.get(self.name, settings)

    def kill(self, settings: Settings, session: str, service: str) -> None:
        from labctl.runtimes.kubernetes import streams

        namespace, pod = self._pod(settings, session, service)
        place = streams.Place(namespace=namespace, pod=pod.name, container=service)
        with contextlib.suppress(EngineError):  # the shell that kills is killed with the rest
            streams.run(self._api, place, ["sh", "-c", "kill -9 -1"], timeout_s=10, max_output_bytes=1000)
        deadline = time.monotonic() + 30  # the node tells the cluster when it sees it, not before
        while self._pod(settings, session, service)[1].running and time.monotonic() < deadline:
            time.sleep(0.1)

    def identity(self, settings: Settings, session: str, service: str) -> str:
        found = self._namespace(settings, session).refresh()
        pod = found.pod(service)
        return pod.container if pod and not pod.is_ending else ""

    def lose_parts(self, settings: Settings, session: str) -> None:
        from labctl.runtimes.kubernetes import kinds

        namespace = self._namespace(settings, session).refresh()
        namespace.end(["web"])
        self._api.delete(kinds.path("Service", namespace.name, "web"))

    def break_engine(self, settings: Settings, session: str) -> None:
        self._is_broken = True

    def mend_engine(self) -> None:
        self._is_broken = False

    def close(self) -> None:
        pass

    def _pod(self, settings: Settings, session: str, service: str) -> tuple[str, Seen]:
        found = self._namespace(settings, session).refresh()
        pod = found.pod(service)
        assert pod, f"{service} has no pod"
        return found.name, pod

    def _namespace(self, settings: Settings, session: str) -> Namespace:
        from labctl.runtimes.folder import SessionFolder
        from labctl.runtimes.kubernetes.namespace import Cluster, Namespace

        return Namespace(Cluster(settings.home, self._config), SessionFolder(settings.home, session), {})


def _drop_failed_connections() -> None:
    """The SDK does not close the socket of a connection that failed: have it collected before it troubles the next test."""
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        gc.collect()


def _supervised(settings: Settings, session: str) -> dict[str, Any]:
    from labctl.runtimes.folder import SessionFolder
    from labctl.runtimes.local.supervisor import Supervisor

    return dict(Supervisor(SessionFolder(settings.home, session)).processes() or {})


ENGINES: dict[str, type[Engine]] = {
    "fake": FakeEngine,
    "local": LocalEngine,
    "docker": DockerEngine,
    "kubernetes": KubernetesEngine,
}
MARKS = {"docker": [pytest.mark.docker], "kubernetes": [pytest.mark.kubernetes, pytest.mark.xdist_group("kubernetes")]}
"""By the names of engines."""


def _only(*names: str) -> pytest.MarkDecorator:
    chosen = [pytest.param(name, marks=MARKS.get(name, [])) for name in names]
    return pytest.mark.parametrize("engine", chosen, indirect=True)


on_every_engine = _only(*ENGINES)
on_real_engines = _only(*(name for name, engine in ENGINES.items() if engine.real))
on_engines_that_map_users = _only(*(name for name, engine in ENGINES.items() if engine.maps_users))
on_engines_apart = _only(*(name for name, engine in ENGINES.items() if engine.apart))
on_engines_that_end_sessions = _only("fake", "kubernetes")
"""They know when a session ends, for what ends it without labctl."""
