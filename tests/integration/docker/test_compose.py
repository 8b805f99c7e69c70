"""`render --format compose`: what Compose makes of the file, on a real engine, compared with what the runtime makes."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from labctl import settings
from labctl.labs.lab import load
from labctl.plan import Plan
from labctl.planning import plan
from labctl.runtimes.docker.compose import planned_host
from labctl.runtimes.docker.parts import FRONT_NETWORK, INTERNAL_NETWORK, Part, parts
from labctl.runtimes.table import get
from labctl.settings import Settings

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("compose")]  # one stack for all of them
UID, GID = (4321, 4322) if os.getuid() == 0 else (os.getuid(), os.getgid())
SECRET = "se$cret"
LAB = """\
title: A job, two services, a model
stage: 1
minutes: 5
profiles: {cpu: {memory: 128MiB, disk: 16MiB, cpus: 1.0, model: toy}}
workspace:
  image: IMAGE
  environment: {DOLLARS: "$HOME ${HOME} $$ it's", SWITCH: "yes", NUMBER: "0o17"}
services:
  prepare:
    image: IMAGE
    command: [sh, -c, 'cp "$MODEL_PATH/weights" prepared.txt']
    restart: "no"
  api:
    image: IMAGE
    command: [python3, -m, http.server, "{{ port('http') }}"]
    environment: {PASSWORD: "{{ secret('api-password') }}"}
    ports: {http: 8000}
    healthcheck: {http: /prepared.txt, timeout: 60s}
    depends_on: {prepare: {condition: service_completed_successfully}}
  web:
    image: IMAGE
    command:
      - python3
      - -c
      - |
        import http.server, sys, urllib.request
        urllib.request.urlopen("http://api:8000/prepared.txt")
        http.server.test(http.server.SimpleHTTPRequestHandler, port=int(sys.argv[1]))
      - "{{ port('http') }}"
    ports: {http: 8000}
    healthcheck: {tcp: true, timeout: 60s}
    depends_on: [api]
criteria:
  - {id: answers, text: It answers, points: 1, hint: Look, checks: [{http: {service: web, path: /}}]}
"""
SAME = {
    "capabilities": ("CapAdd", "CapDrop", "Privileged", "SecurityOpt", "Devices"),
    "memory": ("Memory", "MemorySwap", "ShmSize", "Tmpfs"),
    "limits": ("NanoCpus", "PidsLimit", "Ulimits", "LogConfig"),
    "surroundings": ("Dns", "DnsOptions", "Init", "IpcMode", "PublishAllPorts", "ReadonlyRootfs", "RestartPolicy"),
}


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A Compose project of its own, with the plan that it was rendered from."""

    folder: Path
    project: str
    ports: Mapping[str, int]
    client: DockerClient
    settings: Settings
    plan: Plan
    command: Sequence[str]

    def compose(self, *args: str) -> str:
        words = [*self.command, "-f", str(self.folder / "compose.yaml"), "-p", self.project, *args]
        done = subprocess.run(words, cwd=self.folder, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def inspect(self, service: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = self._of_project(service)
        assert len(found) == 1, found
        seen: dict[str, Any] = self.client.api.inspect_container(found[0]["Id"])
        return seen

    def run(self, service: str, *words: str) -> str:
        said: Any = self.client.containers.get(self.inspect(service)["Id"]).exec_run(list(words)).output
        return str(said.decode())

    def become_healthy(self, *services: str) -> None:
        deadline = time.monotonic() + 120
        while waiting := [name for name in services if self.inspect(name)["State"]["Health"]["Status"] != "healthy"]:
            assert time.monotonic() < deadline, [self.inspect(name)["State"] for name in waiting]
            time.sleep(0.2)

    def remains(self) -> list[str]:
        marks = {"label": [f"com.docker.compose.project={self.project}"]}
        networks = [network["Name"] for network in self.client.api.networks(filters=marks)]
        return [*networks, *(each["Id"] for each in self._of_project())]

    def _of_project(self, service: str | None = None) -> list[dict[str, Any]]:
        marks = [f"com.docker.compose.project={self.project}"]
        marks += [f"com.docker.compose.service={service}"] if service else []
        return list(self.client.api.containers(all=True, filters={"label": marks}))


@pytest.fixture(scope="module")
def compose_command() -> list[str]:
    for words in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(words[0]) and subprocess.run([*words, "version"], capture_output=True).returncode == 0:
            return words
    pytest.skip("neither `docker compose` nor `docker-compose` is here: apt-get install docker-compose")


@pytest.fixture(scope="module")
def stack(
    docker_engine: DockerClient, base_image: str, compose_command: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """The lab above, up and healthy."""
    from labctl.images.build import ensure

    root = tmp_path_factory.mktemp("compose")
    environ = {
        **_outside(),
        "LABCTL_HOME": str(root / "home"),
        "LABCTL_BASE_IMAGE": base_image,
        "LABCTL_LEARNER": "ada",
    }
    chosen = settings.load(environ)
    ensure(docker_engine, "docker/ingress", "cpu", chosen, lambda step: None)
    lab, folder = _lab(root, base_image), root / "beside"
    for name in ("workspace", "models"):
        (folder / name).mkdir(parents=True)
        os.chown(folder / name, UID, GID)
    words = ["render", f"{lab}/", "--format", "compose", "-o", str(folder / "compose.yaml")]
    subprocess.run([sys.executable, "-m", "labctl", *words], env=environ, check=True, capture_output=True)
    ports = dict(zip(("api", "web"), _free_ports(2), strict=True))
    chosen_ports = "".join(f"LABCTL_PORT_{name.upper()}_HTTP={port}\n" for name, port in ports.items())
    secret = f"LABCTL_SECRET_API_PASSWORD='{SECRET}'\n"
    (folder / ".env").write_text(f"LABCTL_UID={UID}\nLABCTL_GID={GID}\n{secret}{chosen_ports}")
    found = load(f"{lab}/", ())
    layout = get("docker", chosen).layout(found, "compose--ada", Path("workspace"))
    made = Stack(
        folder=folder,
        project=f"labctltest{uuid.uuid4().hex[:12]}",
        ports=ports,
        client=docker_engine,
        settings=chosen,
        plan=plan(found, learner="ada", profile="cpu", layout=layout),
        command=compose_command,
    )
    try:
        made.compose("up", "-d")
        made.become_healthy("api", "web")
        yield made
    finally:
        made.compose("down", "-v", "--remove-orphans", "-t", "1")


def test_services_answer_on_the_published_ports_of_the_loopback_address_only(stack: Stack) -> None:
    for port in stack.ports.values():
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/prepared.txt", timeout=10) as answer:
            assert answer.read() == b"made by hand\n"
    bound = stack.inspect("ingress")["NetworkSettings"]["Ports"].values()
    assert sorted(each["HostPort"] for one in bound for each in one) == sorted(map(str, stack.ports.values()))
    assert {each["HostIp"] for one in bound for each in one} == {"127.0.0.1"}


def test_containers_are_hardened_as_the_runtime_s_are(stack: Stack) -> None:
    from labctl.images.engine import engine_info
    from labctl.runtimes.docker.containers import host_config

    info = engine_info(stack.client)
    for part in _parts(stack):
        seen, wanted = stack.inspect(part.name), host_config(stack.client, part, info, None, {})
        for key in chain.from_iterable(SAME.values()):
            assert _canonical(seen["HostConfig"].get(key)) == _canonical(wanted.get(key)), (part.name, key)
        assert seen["Config"]["User"] == part.user
        assert _mounts(seen) == {(mount.source, mount.target, not mount.read_only) for mount in part.mounts}


def test_every_value_reaches_the_containers_as_the_plan_has_it(stack: Stack) -> None:
    for part in _parts(stack):
        environment = dict(line.split("=", 1) for line in stack.inspect(part.name)["Config"]["Env"])
        wanted = {name: value for name, value in part.environment.items() if "LABCTL_SECRET" not in value}
        assert {name: environment[name] for name in wanted} == wanted
        assert not part.command or stack.inspect(part.name)["Config"]["Cmd"] == list(part.command)
    assert stack.run("api", "printenv", "PASSWORD") == f"{SECRET}\n"


def test_the_session_s_network_leads_nowhere(stack: Stack) -> None:
    lab = stack.client.api.inspect_network(f"{stack.project}_lab")
    front = stack.client.api.inspect_network(f"{stack.project}_front")
    assert (lab["Internal"], lab["Options"]) == (True, INTERNAL_NETWORK)
    assert (front["Internal"], front["Options"]) == (False, FRONT_NETWORK)
    assert {each["Name"].split(stack.project)[1].strip("-_")[:7] for each in front["Containers"].values()} == {
        "ingress"
    }
    program = "import socket; socket.create_connection(('192.0.2.1', 80), 1)"
    assert "Error" in stack.run("workspace", "python3", "-c", program)


def test_files_of_the_workspace_belong_to_the_learner(stack: Stack) -> None:
    stack.run("workspace", "sh", "-c", "echo mine > mine.txt")
    for name in ("prepared.txt", "mine.txt"):
        owner = (stack.folder / "workspace" / name).stat()
        assert (owner.st_uid, owner.st_gid) == (UID, GID)
    assert "Read-only file system" in stack.run("workspace", "sh", "-c", "echo x > /etc/x")


def test_the_model_is_built_once_without_a_network_and_cannot_be_changed(stack: Stack) -> None:
    (model,) = (stack.folder / "models").iterdir()
    assert model.name == Path(stack.plan.models[0].path).name
    assert model.stat().st_uid == UID
    builder = stack.inspect("build-toy")
    assert (builder["State"]["ExitCode"], builder["HostConfig"]["NetworkMode"]) == (0, "none")
    assert "Read-only file system" in stack.run("api", "sh", "-c", 'touch "$MODEL_PATH/x"')
    before = model.stat().st_mtime_ns
    stack.compose("up", "-d")
    deadline = time.monotonic() + 60
    while "is there" not in stack.compose("logs", "build-toy"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert model.stat().st_mtime_ns == before


def test_labctl_takes_no_container_of_it_for_its_own(stack: Stack) -> None:
    assert not any("labctl.home" in stack.inspect(part.name)["Config"]["Labels"] for part in _parts(stack))


def test_down_leaves_nothing_but_the_learner_s_files(stack: Stack) -> None:
    assert stack.remains()
    stack.compose("down", "-v", "-t", "1")
    assert stack.remains() == []
    assert (stack.folder / "workspace" / "prepared.txt").is_file()


def _outside() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("LABCTL_")}


def _lab(root: Path, image: str) -> Path:
    lab, toy = root / "labs" / "compose", root / "labs" / "models" / "toy"
    for folder in (lab / "workspace", toy):
        folder.mkdir(parents=True)
    (lab / "lab.yaml").write_text(LAB.replace("IMAGE", image))
    recipe = 'description: A toy\nenv: web\nmodules: [common]\ncommand: [python3, build.py, "{out}"]\n'
    (toy / "model.yaml").write_text(recipe)
    (toy / "build.py").write_text(
        "import made, pathlib, sys\nout = pathlib.Path(sys.argv[1])\nout.mkdir()\n(out / 'weights').write_text(made.BY)\n"
    )
    (toy.parent / "common").mkdir()
    (toy.parent / "common" / "made.py").write_text("BY = 'made by hand\\n'\n")
    return lab


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def _parts(stack: Stack) -> list[Part]:
    """What the runtime would make of the same plan, for the same user and folders."""
    host = planned_host(stack.plan, stack.settings, os.cpu_count() or 1)
    here = replace(
        host, user=f"{UID}:{GID}", workspace=str(stack.folder / "workspace"), models=str(stack.folder / "models")
    )
    return parts(stack.plan, here)


def _mounts(seen: Mapping[str, Any]) -> set[tuple[str, str, bool]]:
    """Of the folder of models, which Compose mounts whole, the one model that is in it."""
    found = {(mount["Source"], mount["Destination"], mount["RW"]) for mount in seen["Mounts"]}
    models = [(mount, list(Path(mount[0]).iterdir())) for mount in found if mount[1] == "/models"]
    for mount, inner in models:
        found = found - {mount} | {(str(one), f"/models/{one.name}", mount[2]) for one in inner}
    return found


def _canonical(value: Any) -> Any:
    """Nothing, an empty list and a default are one thing; lists have no order; keys no case."""
    if isinstance(value, Mapping):
        return {str(key).lower(): _canonical(inner) for key, inner in value.items() if inner}
    if isinstance(value, list):
        return sorted(json.dumps(_canonical(inner), sort_keys=True) for inner in value)
    return ",".join(sorted(value.split(","))) if isinstance(value, str) else value or None
