"""GPUs on a real engine that has none: refused before anything starts, and what about them needs no GPU to be seen."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from labctl.gpus.inventory import Allocation, HeldGpu
from labctl.labs.lab import load_folder
from labctl.plan import Plan
from labctl.planning import plan
from labctl.progress import Step
from labctl.runtimes.docker import labels, life, preparing, toolkit
from labctl.runtimes.docker.handles import make
from labctl.runtimes.docker.parts import parts
from labctl.runtimes.docker.runtime import DockerRuntime
from labctl.runtimes.docker.session import Session
from labctl.runtimes.folder import SessionFolder
from tests.conformance.engines import DockerEngine
from tests.conformance.homes import Home, until
from tests.conformance.labs import IMAGE, LAB, server, worker

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

pytestmark = pytest.mark.docker
GPU = HeldGpu(uuid="GPU-aaaa", name="a card", memory_mib=1, sharing="timeslice", total_mib=4)
MEASURE = ["sh", "-c", "echo begins >> $0; sleep 0.5; echo ends >> $0; touch /tmp/there; exec sleep 600"]
THERE = {"command": ["test", "-e", "/tmp/there"], "timeout": "60s", "interval": "50ms"}


@pytest.fixture
def host(tmp_path: Path, docker_engine: DockerClient, base_image: str) -> Iterator[Home]:
    engine = DockerEngine()
    home = Home(tmp_path / "one", engine)
    yield home
    home.end_everything()
    engine.close()


def planned(host: Home, learner: str = "ada") -> Plan:
    """The suite's lab on a GPU."""
    lab = load_folder(host.folder / "labs" / LAB)
    workspace = host.folder / "work" / learner
    layout = host.runtime.layout(lab, host.id(learner), workspace)
    return plan(lab, learner=learner, profile="cpu", layout=layout, allocation=Allocation(gpus=(GPU,)))


def engine_of(host: Home) -> DockerRuntime:
    assert isinstance(host.runtime, DockerRuntime)
    return host.runtime


def test_an_engine_without_nvidias_runtime_is_refused_before_anything_starts(
    host: Home, docker_engine: DockerClient
) -> None:
    info = engine_of(host)._engine.info
    if not list(toolkit.missing([GPU.uuid], info, has_hook=False)):
        pytest.skip(
            "this engine hands out NVIDIA's GPUs: it takes one without nvidia-container-toolkit to see a refusal"
        )
    host.write({"model": server()}, image=IMAGE)
    problems = host.runtime.preflight(planned(host))
    (refusal,) = [problem for problem in problems if "GPU" in problem.what]
    assert refusal.what.startswith("the Docker engine cannot hand out NVIDIA's GPUs: it has no runtime 'nvidia'")
    assert "sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker" in refusal.hint
    assert containers(host, docker_engine) == []
    assert [each for each in host.runtime.preflight(planned(host).without_gpus()) if "GPU" in each.what] == []


def test_sessions_that_are_brought_up_at_once_measure_one_after_the_other(host: Home) -> None:
    order = "/workspace/order.txt"
    service = worker(command=[*MEASURE, order], healthcheck=THERE)
    host.write({"one": service, "two": service}, image=IMAGE)
    steps: list[Step] = []
    shared = host.folder / "work" / "shared"
    shared.mkdir(parents=True)
    shared.chmod(0o777)
    (shared / "order.txt").touch()
    (shared / "order.txt").chmod(0o666)
    threads = [threading.Thread(target=bring, args=(host, learner, shared, steps)) for learner in ("ada", "bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (shared / "order.txt").read_text().split() == ["begins", "ends"] * 4
    assert any("waits for its turn on GPU GPU-aaaa" in step.detail for step in steps)


def bring(host: Home, learner: str, workspace: Path, steps: list[Step]) -> None:
    """What `up` does, but for the devices, which this engine could not give."""
    made = planned(host, learner)
    made = made.model_copy(
        update={"workspace": made.workspace.model_copy(update={"image": None, "source": str(workspace)})}
    )
    engine, folder = engine_of(host)._engine, SessionFolder(host.settings.home, made.session)
    folder.create_root()
    place = preparing.host(made, engine, preparing.images(made, engine, steps.append))
    session = Session(engine, folder, make(made, place, folder))
    without = [replace(part, gpus=()) for part in parts(made, place)]
    life.bring(session, made, without, steps.append, expires_at=None)


def test_the_container_of_a_job_whose_labctl_and_guard_were_killed_is_removed_by_the_next(
    host: Home, docker_engine: DockerClient
) -> None:
    host.write({"web": server()}, image=IMAGE)
    host.up()
    orphan = leave_a_job(host, docker_engine)
    assert host.runtime.run(host.session().handle, ["true"], []) == 0
    assert containers(host, docker_engine, "job") == []
    assert orphan.name
    leave_a_job(host, docker_engine)
    assert host.up(ttl_s=3600.0).changed == ()
    assert containers(host, docker_engine, "job") == []
    leave_a_job(host, docker_engine)
    host.down()
    assert containers(host, docker_engine) == []


def test_what_is_asked_over_a_connection_that_stays_open_is_seen(host: Home) -> None:
    keeps = "import http.server as h; h.SimpleHTTPRequestHandler.protocol_version = 'HTTP/1.1'; "
    keeps += "h.ThreadingHTTPServer(('0.0.0.0', 8000), h.SimpleHTTPRequestHandler).serve_forever()"
    host.write({"web": server(command=["python3", "-c", keeps])})
    host.up()
    connection = http.client.HTTPConnection("127.0.0.1", host.service("web").ports["http"], timeout=20)
    seen = {""}
    for _ in range(3):
        connection.request("GET", "/readme.txt")
        assert connection.getresponse().read() == b"start here\n"
        until(lambda: host.runtime.requests(host.session().handle) not in seen)
        seen.add(host.runtime.requests(host.session().handle))
    connection.close()


def leave_a_job(host: Home, client: DockerClient) -> Container:
    program = f"""
import json, sys
from labctl import settings
from labctl.runtimes import table
runtime = table.get("docker", settings.load({host.environ!r}))
runtime.run(json.load(sys.stdin), ["sleep", "600"], [])
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        assert child.stdin
        json.dump(dict(host.session().handle), child.stdin)
        child.stdin.close()
        try:
            until(lambda: [each.status for each in containers(host, client, "job")] == ["running"])
        except BaseException:
            child.kill()  # else it is waited for until its job ends
            raise
        family = psutil.Process(child.pid).children(recursive=True)
        os.kill(child.pid, signal.SIGSTOP)  # it must not see its guard die, and tidy up itself
        for process in [*family, psutil.Process(child.pid)]:
            process.kill()
    return containers(host, client, "job")[0]


def containers(host: Home, client: DockerClient, role: str | None = None) -> list[Container]:
    wanted = labels.of_session(host.settings.home, host.id()) | ({labels.ROLE: role} if role else {})
    label = labels.matching(wanted)["label"]
    return client.containers.list(all=True, filters={"label": label}, ignore_removed=True)
