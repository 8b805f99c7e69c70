"""What dies, and what is lost, is seen by `status` and mended by `up`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping

import pytest

from labctl.errors import EngineError
from labctl.runtimes.base import State
from labctl.store.records import SessionState
from labctl.target import CannotLook
from tests.conformance.engines import on_engines_apart, on_real_engines
from tests.conformance.homes import Home, until
from tests.conformance.labs import LAB, server

# Docker's client leaves the socket of a connection that failed to the garbage collector
with_failed_connections = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
KilledUp = Callable[[Callable[[], bool]], None]
TWO = {"web": server(), "api": server()}


def test_a_dead_service_is_seen_by_status_and_mended_by_up(host: Home) -> None:
    host.write(TWO)
    host.up()
    web, api = host.identity("web"), host.identity("api")
    host.kill("web")
    until(lambda: host.service("web").state is State.FAILED)
    assert host.service("web").reason
    assert host.service("api").state is State.RUNNING
    assert host.up().changed == ("web",)
    assert host.service("web").state is State.RUNNING
    assert host.identity("web") != web
    assert host.identity("api") == api


@on_real_engines
def test_a_service_that_crashes_comes_back_when_the_lab_says_so(host: Home) -> None:
    host.write({"web": server(restart="on-failure")})
    host.up()
    before = host.ask("web")["start"]
    with pytest.raises(Exception, match="web did not answer"):
        host.send("web", "POST", "/crash")
    until(lambda: host.service("web").state is State.RUNNING and has_started_again(host, before))


def has_started_again(host: Home, before: str) -> bool:
    """Whether `web` answers and is another process: an engine may notice only after a moment that one has died."""
    try:
        return bool(host.ask("web")["start"] != before)
    except CannotLook:
        return False


def test_a_session_that_lost_parts_is_brought_back_by_up(host: Home) -> None:
    host.write(TWO)
    host.up()
    host.engine.lose_parts(host.settings, host.id())
    until(lambda: any(service.state is not State.RUNNING for service in host.status().services))
    assert host.up().changed
    assert {service.state for service in host.status().services} == {State.RUNNING}
    assert host.ask("web")["environment"]["LEARNER"] == "ada"


@pytest.fixture
def killed_up(host: Home) -> KilledUp:
    """Runs `labctl up` as a process of its own and kills it, as a closed lid or the OOM killer would, once `reached()`."""

    def run(reached: Callable[[], bool]) -> None:
        environ = {**_without_labctl(os.environ), **host.environ}
        command = [sys.executable, "-m", "labctl", "up", LAB]
        with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:
            until(lambda: reached() or child.poll() is not None)
            child.kill()
            assert child.wait() == -signal.SIGKILL, child.stderr.read() if child.stderr else ""

    return run


def _without_labctl(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if not name.startswith("LABCTL_")}


@on_real_engines
def test_up_killed_while_services_start_is_finished_by_the_next(host: Home, killed_up: KilledUp) -> None:
    # `first` is not healthy before somebody writes `gate begins`: `up` is in the middle for as long as we like
    host.write({"first": server("--note", "first", "--after", "gate"), "second": server(depends_on=["first"])})
    place = host.settings.workspaces / LAB
    killed_up(lambda: (place / "order.txt").exists())
    seen = host.status()
    assert seen.session.state is SessionState.STARTING
    assert "was interrupted" in seen.note
    with (place / "order.txt").open("a") as order:
        order.write("gate begins\n")
    assert host.up().session.state is SessionState.RUNNING
    assert {service.state for service in host.status().services} == {State.RUNNING}
    assert host.order().count("first listens") == 1


@on_real_engines
def test_up_killed_before_services_start_is_finished_by_the_next(host: Home, killed_up: KilledUp) -> None:
    host.write({"web": server("--after", "gate")})
    place = host.settings.workspaces / LAB
    killed_up(place.exists)
    (place / "order.txt").write_text("gate begins\n")
    assert host.up().session.state is SessionState.RUNNING
    assert host.ask("web")["environment"]["LEARNER"] == "ada"


@on_real_engines
def test_up_killed_in_the_middle_is_cleaned_up_by_down(host: Home, killed_up: KilledUp) -> None:
    host.write({"first": server("--note", "first", "--after", "gate"), "second": server(depends_on=["first"])})
    killed_up(lambda: (host.settings.workspaces / LAB / "order.txt").exists())
    host.down()
    assert host.remains() == []
    assert host.identity("first") == ""


@with_failed_connections
def test_an_engine_that_is_gone_is_told_and_everything_works_when_it_is_back(host: Home) -> None:
    host.write(TWO)
    host.up()
    host.break_engine()
    until(lambda: bool(host.status().note or any(service.reason for service in host.status().services)))
    assert host.session().state is SessionState.RUNNING
    host.mend_engine()
    host.up()
    assert {service.state for service in host.status().services} == {State.RUNNING}
    assert host.ask("web")["environment"]["LEARNER"] == "ada"


@with_failed_connections
@on_engines_apart
def test_while_the_engine_is_gone_nothing_is_pretended(host: Home) -> None:
    host.write(TWO)
    host.up()
    before = host.identity("web")
    host.break_engine()
    with pytest.raises(EngineError):
        host.up()
    with pytest.raises(EngineError):
        host.down()
    with pytest.raises(EngineError):
        host.remains()
    host.mend_engine()
    assert host.identity("web") == before
    host.up()
    assert host.identity("web") == before
