"""GPUs are taken back from a session that goes on, jobs borrow them, and requests are told from health checks.

The engines of these tests need no GPU: a service that would get some is one that does not say `gpu: false`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import urllib.request

import pytest

from labctl.errors import NotFoundError
from labctl.gpus.inventory import HeldGpu
from labctl.runtimes.base import Handle, State
from tests.conformance.engines import on_real_engines
from tests.conformance.homes import Home, is_free, until
from tests.conformance.labs import IMAGE, server, worker

MODEL_AND_WATCH = {
    "model": server(),
    "watch": server(gpu=False, depends_on={"model": {"condition": "service_started"}}),
}
_HOLD = "import fcntl, time; f = open('held', 'w'); fcntl.flock(f, 2); open('held.held', 'w'); time.sleep(600)"


def withdraw(host: Home) -> Handle:
    return host.runtime.withdraw_gpus(host.session().handle, host.steps.append)


def run(host: Home, *command: str) -> int:
    no_gpus: list[HeldGpu] = []
    return host.runtime.run(host.session().handle, command, no_gpus)


def requests(host: Home) -> str:
    return host.runtime.requests(host.session().handle)


def test_withdrawn_gpus_leave_the_rest_running_and_up_brings_back_what_was_ended(host: Home) -> None:
    host.write(MODEL_AND_WATCH, image=IMAGE)
    host.up()
    (host.workspace() / "mine.txt").write_text("mine")
    watch = host.identity("watch")
    handle = withdraw(host)
    assert (host.identity("model"), host.identity("watch")) == ("", watch)
    assert [(each.name, each.state) for each in host.runtime.state(handle) if each.name != "workspace"] == [
        ("watch", State.RUNNING)
    ]
    assert host.runtime.target(handle).read("mine.txt") == b"mine"
    assert host.runtime.exec(handle, ["true"]) == 0
    assert withdraw(host) == handle
    assert host.identity("watch") == watch
    assert host.up().changed == ("model",)
    assert host.identity("watch") == watch


@on_real_engines
def test_gpus_can_be_withdrawn_when_the_lab_is_another_or_gone(host: Home) -> None:
    lab = host.write(MODEL_AND_WATCH, image=IMAGE)
    host.up()
    watch = host.identity("watch")
    shutil.rmtree(lab)
    withdraw(host)
    assert (host.identity("model"), host.identity("watch")) == ("", watch)
    host.write({"watch": server("--note", "x", gpu=False)}, image=IMAGE)
    withdraw(host)
    assert host.identity("watch") == watch


def test_nothing_can_be_withdrawn_from_a_session_that_never_was(host: Home) -> None:
    with pytest.raises(NotFoundError):
        host.runtime.withdraw_gpus({"session": "never--was"}, host.steps.append)


@on_real_engines
def test_a_service_that_somebody_with_a_gpu_waited_for_does_not_start_again(host: Home) -> None:
    wait = {"prepare": {"condition": "service_completed_successfully"}}
    prepare = worker("note:prepared", gpu=False, restart="on-failure")
    host.write({"prepare": prepare, "model": server(depends_on=wait)}, image=IMAGE)
    host.up()
    handle = withdraw(host)
    assert host.order() == ["prepared"]
    assert next(each.state for each in host.runtime.state(handle) if each.name == "prepare") is State.EXITED


@pytest.mark.parametrize("code", [0, 7, 126, 255])
def test_a_job_passes_the_exit_code(host: Home, code: int) -> None:
    host.write({"web": server()}, image=IMAGE)
    host.up()
    assert run(host, "sh", "-c", f"exit {code}") == code


def test_a_job_works_in_the_workspace_with_the_labs_environment(host: Home) -> None:
    host.write({"web": server()}, image=IMAGE, environment={"FLAVOUR": "{{ profile }}"})
    host.up()
    assert run(host, "sh", "-c", 'echo "$LABCTL_LAB $FLAVOUR" > seen') == 0
    assert (host.workspace() / "seen").read_text() == "conformance cpu\n"
    assert run(host, "no-such-program") == 127


@on_real_engines
def test_nothing_of_a_job_is_left_when_it_has_ended(host: Home) -> None:
    host.write({"web": server()}, image=IMAGE)
    host.up()
    leave = f"import subprocess, os, time; subprocess.Popen(['python3', '-c', {_HOLD!r}], start_new_session=True)\n"
    wait = "while not os.path.exists('held.held'): time.sleep(0.02)"
    assert run(host, "python3", "-c", leave + wait) == 0
    until(lambda: is_free(host.workspace() / "held"))
    host.down()
    assert host.remains() == []


@on_real_engines
def test_a_job_ends_with_the_labctl_that_began_it_and_the_session_goes_on(host: Home) -> None:
    host.write({"web": server()}, image=IMAGE)
    host.up()
    web = host.identity("web")
    program = f"""
import json, sys
from labctl import settings
from labctl.runtimes import table
runtime = table.get({host.engine.name!r}, settings.load({host.environ!r}))
runtime.run(json.load(sys.stdin), ["python3", "-c", {_HOLD!r}], [])
"""
    handle = json.dumps(dict(host.session().handle))
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, text=True) as child:
        assert child.stdin
        child.stdin.write(handle)
        child.stdin.close()
        until(lambda: (host.workspace() / "held.held").exists())
        assert host.up().changed == ()  # a session's `up` leaves its jobs alone
        assert not is_free(host.workspace() / "held")
        child.kill()
    until(lambda: is_free(host.workspace() / "held"))
    assert host.identity("web") == web


@on_real_engines
def test_requests_are_seen_and_health_checks_are_none(host: Home) -> None:
    host.write({"web": server(), "api": server(healthcheck={"tcp": True, "timeout": "60s", "interval": "50ms"})})
    host.up()
    for _ in range(3):
        assert {service.state for service in host.status().services} == {State.RUNNING}
    assert requests(host) == ""
    url = host.service("web").url
    assert url
    seen = {requests(host)}
    for count in range(2, 5):
        with urllib.request.urlopen(url) as answer:
            assert answer.read()  # a connection that is broken off leaves no trace
        until(lambda: requests(host) not in seen)
        seen.add(requests(host))
        host.status()
        seen.add(requests(host))
        assert len(seen) == count


@on_real_engines
def test_what_one_service_asks_another_over_an_open_connection_is_no_request(host: Home) -> None:
    keeps = "import http.client, os, time, urllib.parse as p\nu = p.urlparse(os.environ['WEB'])\n"
    keeps += "while True:\n  c = http.client.HTTPConnection(u.netloc); c.connect(); open('asked', 'w'); time.sleep(600)"
    scraper = worker(command=["python3", "-c", keeps], environment={"WEB": "{{ url('web') }}"}, depends_on=["web"])
    host.write({"web": server(), "scraper": scraper})
    host.up()
    until(lambda: (host.workspace() / "asked").exists())
    assert requests(host) == ""


def test_a_session_that_never_was_has_no_requests(host: Home) -> None:
    assert host.runtime.requests({"session": "never--was"}) == ""
