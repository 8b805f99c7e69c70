"""How an engine is found, and its troubles in words."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from labctl import settings
from labctl.errors import EngineError, PreflightError
from labctl.images.engine import connect, engine_errors
from labctl.images.pull import Layers
from labctl.images.stream import watched


def connect_to(host: str) -> None:
    connect(settings.load({"USER": "ada", "HOME": "/nonexistent", "DOCKER_HOST": host}))


@pytest.mark.parametrize("host", ["tcp://10.0.0.1:2375", "ssh://ada@host", "nonsense", "unix://"])
def test_an_engine_elsewhere_is_refused_for_it_cannot_mount_workspaces(host: str) -> None:
    with pytest.raises(PreflightError, match="cannot mount") as raised:
        connect_to(host)
    assert "export DOCKER_HOST=unix:///" in raised.value.hint


def test_an_engine_that_is_not_started_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="is not running") as raised:
        connect_to(f"unix://{tmp_path}/docker.sock")
    assert "systemctl start docker" in raised.value.hint


def test_a_socket_nobody_listens_on_is_an_engine_that_is_not_running(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "docker.sock"))
    with pytest.raises(EngineError, match="is not running"):
        connect_to(f"unix://{tmp_path}/docker.sock")


def test_an_engine_that_hangs_up_cannot_be_reached() -> None:
    from docker.errors import DockerException

    with pytest.raises(EngineError, match=r"cannot be reached: .*aborted"), engine_errors():
        raise DockerException("Error while fetching server API version: connection aborted")


def test_missing_rights_on_the_socket_name_the_group() -> None:
    from requests.exceptions import ConnectionError as Wrapped

    with pytest.raises(EngineError, match="permission denied") as raised, engine_errors():
        raise Wrapped("aborted", PermissionError(13, "Permission denied"))
    assert "usermod -aG docker" in raised.value.hint


def test_silence_is_a_time_out() -> None:
    from requests.exceptions import ReadTimeout

    with pytest.raises(EngineError, match="did not answer within"), engine_errors():
        raise ReadTimeout("read timed out")


@pytest.mark.parametrize("error", [ValueError("ours"), FileNotFoundError(2, "ours"), KeyboardInterrupt()])
def test_what_is_not_the_engines_passes_through(error: BaseException) -> None:
    with pytest.raises(type(error)), engine_errors():
        raise error


def test_a_pull_tells_what_has_come_of_all_layers() -> None:
    layers = Layers()
    assert str(layers) == ""
    for event in (
        {"id": "a", "status": "Downloading", "progressDetail": {"current": 2**20, "total": 10 * 2**20}},
        {"id": "b", "status": "Downloading", "progressDetail": {"current": 0, "total": 30 * 2**20}},
        {"id": "c", "status": "Already exists", "progressDetail": {}},
        {"id": "a", "status": "Download complete", "progressDetail": {}},
        {"id": "a", "status": "Extracting", "progressDetail": {"current": 1, "total": 10 * 2**20}},
    ):
        layers.take(event)
    assert str(layers) == "10 MiB of 40 MiB"


def test_a_silent_stream_is_left_when_somebody_cancels() -> None:
    begun, stop = threading.Event(), threading.Event()

    def silent() -> object:
        begun.set()
        stop.wait(60)
        yield "late"

    with pytest.raises(KeyboardInterrupt):
        list(watched(silent(), begun.is_set))  # type: ignore[arg-type]
    stop.set()


def test_a_watched_stream_is_the_stream_and_its_error() -> None:
    def breaks() -> object:
        yield 1
        raise ValueError("broken")

    assert list(watched(iter([1, 2]), lambda: False)) == [1, 2]
    with pytest.raises(ValueError, match="broken"):
        list(watched(breaks(), lambda: False))  # type: ignore[arg-type]
