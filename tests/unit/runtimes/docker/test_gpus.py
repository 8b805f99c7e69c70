"""GPUs on a Docker engine: whose they are, how containers get them, and what an engine lacks that cannot hand them out."""

from __future__ import annotations

import hashlib
import json
import platform
import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from labctl import settings
from labctl.errors import PreflightError
from labctl.gpus.inventory import Allocation, HeldGpu
from labctl.images.engine import engine_info, url_of
from labctl.labs.lab import load_folder
from labctl.plan import Plan
from labctl.planning import declared_layout, plan
from labctl.runtimes.docker import containers, ingress, toolkit
from labctl.runtimes.docker.engine import Engine
from labctl.runtimes.docker.gpus import elsewhere, inventory
from labctl.runtimes.docker.parts import Host, Part, build, check, job, parts, revived
from tests.unit.runtimes.docker.test_parts import ENGINE, HOST

LAB = """\
title: A model and who watches it
stage: 1
minutes: 5
profiles: {cpu: {memory: 512MiB}}
workspace: {image: "work:1", environment: {XLA_PYTHON_CLIENT_MEM_FRACTION: "0.1"}}
services:
  model: {image: "web:1", ports: {http: 80}, healthcheck: {http: /}}
  watch: {image: "web:1", gpu: false}
criteria:
  - {id: one, text: there, points: 1, hint: look, checks: [{file: {path: a}}]}
"""
A, MIG = "GPU-aaaa", "MIG-bbbb"
HELD = HeldGpu(uuid=A, name="", memory_mib=1000, sharing="timeslice", total_mib=4000)


@pytest.fixture
def made(write_lab: Callable[..., Path]) -> Plan:
    lab = load_folder(write_lab(text=LAB, **{"checks/a.py": "x", "data/d": "x"}))
    layout = declared_layout(lab)
    return plan(lab, learner="ada", profile="cpu", layout=layout, allocation=Allocation(gpus=(HELD,)))


def by_name(plan: Plan, host: Host = HOST) -> dict[str, Part]:
    return {part.name: part for part in parts(plan, host)}


def visible(part: Part) -> str:
    return part.environment["NVIDIA_VISIBLE_DEVICES"]


def test_who_gets_no_gpu_sees_none_whatever_the_image_says(made: Plan, tmp_path: Path) -> None:
    found = by_name(made)
    assert {name: (visible(part), part.gpus) for name, part in found.items()} == {
        "model": (A, (A,)),
        "watch": ("void", ()),
        "workspace": (A, (A,)),
        "ingress": ("void", ()),
    }
    assert visible(check(made.without_gpus(), HOST)) == "void"
    assert visible(job(check(made, HOST), "job-1", ["true"], {}, None, cdi=False)) == "void"
    step: Any = type("Step", (), {"name": "m", "env": "", "folder": "/m", "modules": [], "command": ["make"]})
    built = build(made, step, HOST, tmp_path)
    assert (visible(built), built.gpus, built.environment["CUDA_VISIBLE_DEVICES"]) == ("void", (), "")


def test_a_cdi_device_does_all_the_work(made: Plan) -> None:
    found = by_name(made, replace(HOST, cdi=True))
    assert {visible(part) for part in found.values()} == {"void"}
    assert found["model"].gpus == (A,)
    assert found["model"].environment["PYTORCH_ALLOC_CONF"] == "per_process_memory_fraction:0.25"


def test_without_its_gpus_only_what_had_some_is_another_container(made: Plan) -> None:
    before = by_name(made)
    after = by_name(made.without_gpus())
    assert {name for name in after if after[name].digest == before[name].digest} == {"watch"}
    assert "model" not in after
    assert after["workspace"].gpus == ()


def test_a_job_is_the_workspace_with_other_gpus_and_without_the_checks(made: Plan) -> None:
    borrowed = Allocation(gpus=(HeldGpu(uuid=MIG, name="", memory_mib=5000, sharing="mig"),))
    kept = json.loads(json.dumps(asdict(check(made, HOST))))
    found = job(revived(kept), "job-1", ["train", "--fast"], made.workspace.environment, borrowed, cdi=False)
    assert (found.role, found.gpus, visible(found)) == ("job", (MIG,), MIG)
    assert (found.entrypoint, found.command) == (("train",), ("--fast",))
    assert found.environment["LABCTL_GPU_MEMORY_MIB"] == "5000"
    assert "PYTORCH_ALLOC_CONF" not in found.environment
    assert found.environment["XLA_PYTHON_CLIENT_MEM_FRACTION"] == "0.1"
    inner = by_name(made)["workspace"]
    assert (found.mounts, found.user, found.memory_mib) == (inner.mounts, inner.user, inner.memory_mib)


@pytest.mark.parametrize(
    ("known", "request_"),
    [
        (None, {"Driver": "", "DeviceIDs": [A, MIG], "Capabilities": [["gpu"]]}),
        (frozenset({"0", A}), {"Driver": "", "DeviceIDs": [A, MIG], "Capabilities": [["gpu"]]}),
        (frozenset({A, MIG, "all"}), {"Driver": "cdi", "DeviceIDs": [f"nvidia.com/gpu={A}", f"nvidia.com/gpu={MIG}"]}),
    ],
)
def test_gpus_are_asked_for_by_uuid_through_cdi_where_the_engine_knows_all_of_them_so(
    made: Plan, known: frozenset[str] | None, request_: dict[str, Any]
) -> None:
    import docker

    client = docker.DockerClient(base_url="unix:///nobody/there", version="1.41")  # asked nothing
    model = replace(by_name(made)["model"], gpus=(A, MIG))
    config = containers.host_config(client, model, replace(ENGINE, cdi=known), None, {})
    (asked,) = config["DeviceRequests"]
    assert {**asked, **request_} == asked
    assert not asked["Count"]
    client.close()


def test_an_engine_without_a_way_to_hand_out_gpus_is_told_with_the_remedy() -> None:
    plain = replace(ENGINE, runtimes=frozenset({"runc", "io.containerd.runc.v2"}))
    (problem,) = toolkit.missing([A], plain, has_hook=False)
    assert "has no runtime 'nvidia' (it has: io.containerd.runc.v2, runc), and knows no CDI device" in problem.what
    assert "sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker" in problem.hint
    (problem,) = toolkit.missing([A], replace(plain, cdi=frozenset({"0"})), has_hook=False)
    assert "names no GPU by its UUID" in problem.what
    assert "nvidia-ctk cdi generate" in problem.hint


@pytest.mark.parametrize(
    ("engine", "has_hook"),
    [
        (replace(ENGINE, runtimes=None), False),
        (replace(ENGINE, runtimes=frozenset({"runc", "nvidia"})), False),
        (replace(ENGINE, runtimes=frozenset({"runc"}), cdi=frozenset({A})), False),
        (replace(ENGINE, runtimes=frozenset({"runc"})), True),
    ],
)
def test_an_engine_that_can_or_cannot_tell_is_not_refused(engine: Any, has_hook: bool) -> None:
    assert list(toolkit.missing([A], engine, has_hook=has_hook)) == []


@pytest.mark.parametrize(
    ("said", "is_old"),
    [
        ("NVIDIA Container Toolkit CLI version 1.17.7\ncommit: abc\n", True),
        ("NVIDIA Container Toolkit CLI version 1.9.0", True),
        ("NVIDIA Container Toolkit CLI version 1.17.8", False),
        ("NVIDIA Container Toolkit CLI version 1.18.0-rc.1", False),
        ("", False),
        ("no idea", False),
    ],
)
def test_a_toolkit_that_containers_break_out_of_is_refused(said: str, is_old: bool) -> None:
    found = list(toolkit.outdated(said))
    assert bool(found) is is_old
    assert all("CVE-2025-23266" in problem.what and "1.17.8" in problem.what for problem in found)


def test_the_toolkit_of_this_host_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert toolkit.version() == ""
    tool = tmp_path / "nvidia-ctk"
    tool.write_text('#!/bin/sh\necho "NVIDIA Container Toolkit CLI version 1.17.7"\n')
    tool.chmod(0o755)
    assert [problem.what[:40] for problem in toolkit.problems([A], replace(ENGINE, cdi=frozenset({A})))] == [
        "NVIDIA's container toolkit 1.17.7 lets c"
    ]
    assert list(toolkit.problems([], ENGINE)) == []


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@pytest.fixture
def engine_that_says(tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    """An engine behind a socket of this machine that answers what it is, and nothing else."""
    servers: list[_Server] = []
    engines: list[Engine] = []

    def make(**info: Any) -> Engine:
        answers = {"version": {"ApiVersion": "1.41"}, "info": info}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(answers[self.path.rpartition("/")[2]]).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_words: object) -> None:
                """Nothing."""

            def address_string(self) -> str:
                return ""

        place = tmp_path / f"{len(servers)}.sock"
        servers.append(_Server(str(place), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        engines.append(Engine(settings.load({"USER": "ada", "HOME": "/none", "DOCKER_HOST": f"unix://{place}"})))
        return engines[-1]

    yield make
    for engine in engines:
        engine.client.close()
    for server in servers:
        server.shutdown()
        server.server_close()


def test_this_machines_gpus_are_never_those_of_an_engine_behind_a_forwarded_socket(
    engine_that_says: Callable[..., Engine],
) -> None:
    found = inventory(engine_that_says(KernelVersion="6.6.12-linuxkit"))
    assert (found.source, found.gpus) == ("Docker", ())
    assert found.problem
    assert f"in a virtual machine (kernel 6.6.12-linuxkit, here {platform.release()})" in found.problem
    assert "run labctl there" in found.problem


def test_an_engine_of_this_machine_has_this_machines_gpus_without_mps(engine_that_says: Callable[..., Engine]) -> None:
    found = inventory(engine_that_says(KernelVersion=platform.release()))
    assert (found.source, found.mps) == ("NVML", False)


def test_an_engine_that_does_not_tell_its_kernel_is_taken_for_ours() -> None:
    assert elsewhere("unix:///x", ENGINE, "6.1") == ""


@pytest.mark.parametrize("address", ["tcp://10.0.0.1:2375", "ssh://ada@gpu-host"])
def test_the_gpus_of_an_engine_elsewhere_are_refused_in_words(address: str) -> None:
    found = inventory(Engine(settings.load({"USER": "ada", "HOME": "/none", "DOCKER_HOST": address})))
    assert (found.source, found.gpus) == ("Docker", ())
    assert found.problem
    assert address in found.problem
    assert "cannot be asked from here" in found.problem


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has a context of Docker's own commands be the current one, by its file or by the variable."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    monkeypatch.delenv("DOCKER_HOST", raising=False)

    def choose(name: str, host: str, *, by_variable: bool = False) -> None:
        folder = tmp_path / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
        folder.mkdir(parents=True)
        (folder / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host}}}))
        (tmp_path / "config.json").write_text(json.dumps({"currentContext": "other" if by_variable else name}))
        if by_variable:
            monkeypatch.setenv("DOCKER_CONTEXT", name)

    return choose


@pytest.mark.parametrize("by_variable", [True, False])
def test_dockers_own_context_says_where_the_engine_is(context: Callable[..., None], by_variable: bool) -> None:
    chosen = settings.load({"USER": "ada", "HOME": "/none"})
    context("desktop", "unix:///home/ada/desktop.sock", by_variable=by_variable)
    assert url_of(chosen) == "unix:///home/ada/desktop.sock"
    assert url_of(replace(chosen, docker_host="unix:///first")) == "unix:///first"


@pytest.mark.parametrize("host", ["tcp://10.0.0.1:2375", "ssh://ada@host", ""])
def test_a_context_that_leads_elsewhere_is_refused(context: Callable[..., None], host: str) -> None:
    context("far", host)
    with pytest.raises(PreflightError, match="context 'far' leads to") as raised:
        url_of(settings.load({"USER": "ada", "HOME": "/none"}))
    assert "docker context use default" in raised.value.hint


def test_what_an_engine_knows_as_cdi_devices_is_read_from_its_list_or_its_folders(
    engine_that_says: Callable[..., Engine], tmp_path: Path
) -> None:
    listed = [{"Source": "cdi", "ID": f"nvidia.com/gpu={A}"}, {"Source": "cdi", "ID": "amd.com/gpu=0"}]
    assert engine_info(engine_that_says(DiscoveredDevices=listed).client).cdi == frozenset({A})
    (tmp_path / "nvidia.yaml").write_text(f'kind: nvidia.com/gpu\ndevices: [{{name: "0"}}, {{name: {MIG}}}]\n')
    (tmp_path / "nvidia-broken.yaml").write_text("kind: [")
    assert engine_info(engine_that_says(CDISpecDirs=[str(tmp_path), "/none"]).client).cdi == frozenset({"0", MIG})
    old = engine_info(engine_that_says(Runtimes={"runc": {}}, DefaultRuntime="nvidia").client)
    assert (old.cdi, old.runtimes) == (None, frozenset({"runc", "nvidia"}))
    assert engine_info(engine_that_says().client).runtimes is None


STATISTICS = """\
# pxname,svname,stot,bin
web:http,FRONTEND,3,120
web:http,web,9,9
web:http,BACKEND,9,9
door:web:http,FRONTEND,50,5000
workspace:http,FRONTEND,2,900
GLOBAL,FRONTEND,7,7

"""


def test_requests_are_counted_at_the_routes_and_not_at_the_doors() -> None:
    found = ingress.routes({"web": {"http": 80}, "workspace": {"http": 8888}}, [("web", "http")])
    assert ingress.asked(STATISTICS, found) == (5, 1020)
    assert ingress.asked(STATISTICS, found, chatty=["workspace"]) == (5, 120)
    assert ingress.revived([asdict(route) for route in found]) == found
    with pytest.raises(ValueError, match="no statistics"):
        ingress.asked("", found)
