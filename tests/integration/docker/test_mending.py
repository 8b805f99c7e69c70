"""What somebody does to a session with Docker's own commands: `status` says it, `up` mends it, `down` leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labctl.errors import PreflightError, UnhealthyError
from labctl.runtimes.base import State
from labctl.runtimes.docker import labels
from tests.conformance.engines import DockerEngine
from tests.conformance.homes import Home, until
from tests.conformance.labs import server, worker

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container
    from docker.models.networks import Network

pytestmark = pytest.mark.docker


@pytest.fixture
def host(tmp_path: Path, docker_engine: DockerClient, base_image: str) -> Iterator[Home]:
    engine = DockerEngine()
    home = Home(tmp_path / "one", engine)
    yield home
    home.end_everything()
    assert networks(home, docker_engine) == []
    engine.close()


def container(host: Home, client: DockerClient, part: str) -> Container:
    wanted = labels.matching(labels.of_session(host.settings.home, host.id()) | {labels.SERVICE: part})
    return client.containers.list(all=True, filters={"label": wanted["label"]})[0]


def runs(host: Home, client: DockerClient, word: str) -> bool:
    """Whether a process of the service web has `word` in its command line."""
    return any(word in process for process in map(" ".join, container(host, client, "web").top()["Processes"]))


def networks(host: Home, client: DockerClient) -> list[Network]:
    """Those of the home's sessions, and the one that their ports are published on."""
    return client.networks.list(filters={"label": f"{labels.HOME}={labels.home_id(host.settings.home)}"})


def test_a_service_that_ended_by_itself_is_started_again(host: Home, docker_engine: DockerClient) -> None:
    """Its exit code is 0, as after JupyterLab's Shut Down; only a job may end so."""
    well_behaved = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
    host.write({"web": worker("sleep", restart="on-failure", command=well_behaved)})
    host.up()
    container(host, docker_engine, "web").stop(timeout=5)
    assert container(host, docker_engine, "web").attrs["State"]["ExitCode"] == 0
    assert host.service("web").state is State.FAILED
    assert host.up().changed == ("web",)
    assert host.service("web").state is State.RUNNING


def cut_off(network: Network, container: Container) -> None:
    network.disconnect(container, force=True)


def cut_off_and_remove(network: Network, container: Container) -> None:
    for each in network.client.containers.list(filters={"network": str(network.id)}):  # type: ignore[union-attr]
        network.disconnect(each, force=True)
    network.remove()


@pytest.mark.parametrize("harm", [cut_off, cut_off_and_remove])
def test_a_service_without_its_network_is_told_and_mended(
    host: Home, docker_engine: DockerClient, harm: Callable[[Network, Container], None]
) -> None:
    host.write({"web": worker("sleep", restart="on-failure")})
    host.up()
    (network,) = networks(host, docker_engine)
    harm(network, container(host, docker_engine, "web"))
    assert "cut off" in host.service("web").reason
    assert "web" in host.up().changed
    assert host.service("web").state is State.RUNNING
    assert host.target().run(["true"], timeout_s=30).exit_code == 0


def test_down_without_an_ingress_leaves_no_network(host: Home, docker_engine: DockerClient) -> None:
    host.write({"web": server()})
    host.up()
    container(host, docker_engine, "ingress").remove(force=True)
    host.down()
    assert networks(host, docker_engine) == []


def test_a_lost_image_is_told_and_brought_back(host: Home, docker_engine: DockerClient, base_image: str) -> None:
    own = f"labctl-lost-{os.getpid()}:1"
    docker_engine.images.get(base_image).tag(own)
    host.write({"web": server(image=own)}, image=own)
    host.up()
    docker_engine.images.remove(own, force=True)
    assert "lost the image" in host.status().services[-1].reason
    docker_engine.images.get(base_image).tag(own)  # instead of a registry that would have it
    host.up()
    assert host.target().run(["true"], timeout_s=30).exit_code == 0
    host.down()
    docker_engine.images.remove(own)


def test_names_that_others_hold_are_left_to_them(host: Home, docker_engine: DockerClient, base_image: str) -> None:
    name = f"labctl-{host.id()}-web"
    others = docker_engine.containers.list(all=True, filters={"name": f"^/{name}$"})
    stranger = None if others else docker_engine.containers.create(base_image, ["true"], name=name)
    try:
        host.write({"web": server()})
        host.up()
        assert host.ask("web")["environment"]["LEARNER"] == "ada"
        host.down()
        assert stranger is None or docker_engine.containers.get(name).id == stranger.id
    finally:
        if stranger:
            stranger.remove(force=True)


def test_a_service_that_dies_during_its_health_check_is_named_with_its_end(host: Home) -> None:
    health = {"command": ["sh", "-c", "sleep 0.1; false"], "timeout": "20s", "interval": "50ms"}
    host.write({"web": worker("sleep", command=["sh", "-c", "sleep 0.4; exit 3"], healthcheck=health)})
    with pytest.raises(UnhealthyError, match="ended with exit code 3"):
        host.up()
    assert [service.name for service in host.status().services] == ["web"]


def test_a_health_check_that_hangs_leaves_nothing_behind(host: Home, docker_engine: DockerClient) -> None:
    health = {"command": ["sleep", "1000"], "timeout": "1s", "interval": "50ms"}
    host.write({"web": worker("sleep", healthcheck=health)})
    with pytest.raises(UnhealthyError, match="did not become healthy within 1"):
        host.up()
    until(lambda: not runs(host, docker_engine, "1000"))


def test_an_interrupted_exec_ends_what_it_began(host: Home, docker_engine: DockerClient) -> None:
    host.write({"web": worker("sleep")})
    host.up()
    command = [sys.executable, "-m", "labctl", "exec", host.id(), "--", "sleep", "1234"]
    child = subprocess.Popen(command, env={**os.environ, **host.environ}, stdin=subprocess.DEVNULL)
    until(lambda: runs(host, docker_engine, "1234"))
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=60) == 130
    until(lambda: not runs(host, docker_engine, "1234"))


def test_a_lab_that_names_no_image_is_refused_and_so_is_one_that_names_none_any_more(host: Home) -> None:
    host.write({"web": server(image=None)})
    assert "start service web" in host.changes()
    for _ in range(2):
        with pytest.raises(PreflightError, match="web names no image; the lab names no image for its workspace"):
            host.up()
        host.write({"web": server()})
        host.up()
        host.write({"web": server(image=None)})
