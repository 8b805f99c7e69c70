"""What containers a plan becomes, and what makes one another one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.images.engine import EngineInfo
from labctl.images.names import INGRESS
from labctl.labs.lab import load_folder
from labctl.plan import Plan
from labctl.planning import declared_layout, plan
from labctl.runtimes.docker import ingress, users
from labctl.runtimes.docker.parts import Host, Part, check, images, parts

LAB = """\
title: Two services
stage: 1
minutes: 5
profiles: {cpu: {memory: 512MiB, disk: 100MiB}}
workspace: {image: "work:1"}
services:
  web:
    image: "web:1"
    command: [serve]
    ports: {http: 80, admin: 81}
    mem_limit: 64MiB
  job:
    image: "web:1"
    restart: "no"
    tmpfs: [/var/lib/job]
criteria:
  - {id: one, text: there, points: 1, hint: look, checks: [{file: {path: a}}]}
"""
HOST = Host(
    images={"work:1": "work:1", "web:1": "web:1", INGRESS: "ingress:1"},
    workspace="/home/ada/ws",
    models="/home/ada/models",
    user="1001:1002",
    listens=True,
    cpu_count=1,
)
ENGINE = EngineInfo(
    rootless=False,
    userns_remap=False,
    cdi=None,
    cgroup_version="2",
    memory_limit=True,
    cpu_limit=True,
    cpu_count=4,
    memory_mib=8192,
    storage_driver="overlay2",
    root_dir="/var/lib/docker",
    server_version="28.0",
    api_version="1.48",
)


@pytest.fixture
def made(write_lab: Callable[..., Path]) -> Plan:
    files = dict.fromkeys(("checks/a.py", "solution/b", "mutants/m/c", "services/s.py", "data/d"), "x")
    lab = load_folder(write_lab(text=LAB, **files))
    return plan(lab, learner="ada", profile="cpu", layout=declared_layout(lab))


def by_name(plan: Plan, host: Host = HOST) -> dict[str, Part]:
    return {part.name: part for part in parts(plan, host)}


def test_services_come_first_then_workspace_and_ingress(made: Plan) -> None:
    assert list(by_name(made)) == ["web", "job", "workspace", "ingress"]
    assert images(made) == [INGRESS, "work:1", "web:1"]


def test_no_container_sees_checks_solutions_or_mutants_but_a_check_its_checks(made: Plan) -> None:
    for part in parts(made, HOST):
        seen = {mount.target for mount in part.mounts}
        assert seen in (set(), {"/workspace", "/lab/services", "/lab/data", "/lab/workspace"}), part.name
    assert {mount.target for mount in check(made, HOST).mounts} >= {"/lab/checks", "/lab/data"}
    assert all(mount.read_only for part in parts(made, HOST) for mount in part.mounts if mount.target != "/workspace")


def test_limits_come_from_the_profile_the_service_and_the_host(made: Plan) -> None:
    found = by_name(made)
    assert [found[name].memory_mib for name in ("web", "job", "workspace")] == [64, 512, 512]
    assert {part.cpus for part in found.values()} == {1.0}
    assert found["job"].tmpfs["/var/lib/job"].split(",")[:4] == ["rw", "nosuid", "nodev", "exec"]
    assert found["job"].restart == "no"


def test_only_the_ingress_publishes_and_it_leads_to_every_port(made: Plan) -> None:
    found = by_name(made)
    assert [name for name, part in found.items() if part.published] == ["ingress"]
    assert found["ingress"].published == (20_000, 20_001, 20_002, 30_002)  # the last for JupyterLab's health check
    config = found["ingress"].environment["HAPROXY_CONFIG"]
    assert config.count("listen ") == 4
    assert "set-dst-port int(8888)" in config


def test_without_ports_there_is_no_ingress(made: Plan) -> None:
    quiet = made.model_copy(update={"services": [made.services[1]]})
    assert list(by_name(quiet, replace(HOST, listens=False))) == ["job", "workspace"]


def test_a_digest_changes_with_what_a_container_is_made_from_and_not_with_a_neighbours_url(made: Plan) -> None:
    before = by_name(made)
    web = made.services[0].model_copy(update={"command": ["serve", "--fast"]})
    more = web.model_copy(update={"name": "more", "ports": {"http": 90}})
    after = by_name(made.model_copy(update={"services": [web, made.services[1], more]}))
    same = {name for name in before if before[name].digest == after[name].digest}
    assert same == {"job", "workspace"}


def test_a_route_is_found_by_service_and_port() -> None:
    found = ingress.routes({"web": {"http": 80, "admin": 81}, "db": {"sql": 5432}})
    assert [(route.service, route.port, route.target, route.listen) for route in found] == [
        ("web", "http", 80, 20_000),
        ("web", "admin", 81, 20_001),
        ("db", "sql", 5432, 20_002),
    ]


def test_a_container_is_the_workspaces_owner_and_on_a_rootless_engine_the_learner_by_another_name(
    tmp_path: Path,
) -> None:
    uid, gid = tmp_path.stat().st_uid, tmp_path.stat().st_gid
    user = users.of_session("lab--ada", tmp_path, rootless=False)
    if uid:
        assert user == f"{uid}:{gid}"
    else:  # root hosts many: each session has a user of its own, the same each time
        assert int(user.partition(":")[0]) >= 2_000_000_000
        assert (
            user
            == users.of_session("lab--ada", tmp_path, rootless=False)
            != users.of_session("lab--bob", tmp_path, rootless=False)
        )
    assert users.of_session("lab--ada", tmp_path, rootless=True) == "0:0"


def test_a_lab_that_names_no_image_can_be_looked_at(made: Plan) -> None:
    nameless = made.model_copy(
        update={
            "services": [service.model_copy(update={"image": None}) for service in made.services],
            "workspace": made.workspace.model_copy(update={"image": None}),
        }
    )
    host = replace(HOST, images={INGRESS: "ingress:1"}, listens=False)
    assert [part.image for part in parts(nameless, host)] == ["", "", "ingress:1"]


def test_models_that_are_on_the_host_are_mounted_and_the_hub_is_left_alone(
    write_lab: Callable[..., Path], tmp_path: Path
) -> None:
    text = LAB.replace("disk: 100MiB", "disk: 100MiB, model: org/one, models: {two: org/two}").replace(
        "command: [serve]", 'command: [serve, "{{ models.two }}"]'
    )
    lab = load_folder(write_lab(text=text))
    layout = replace(declared_layout(lab), local_models={"org/one": "/models/org/one", "org/two": "/models/org/two"})
    made = plan(lab, learner="ada", profile="cpu", layout=layout)
    host = replace(HOST, local_models={"org/one": "/srv/one", "org/two": "/srv/two"})
    web = by_name(made, host)["web"]
    assert web.command == ("serve", "/models/org/two")
    assert {"/srv/one", "/srv/two"} <= {mount.source for mount in web.mounts}
    wanted = {"MODEL_PATH": "/models/org/one", "MODEL_PATH_TWO": "/models/org/two", "HF_HUB_OFFLINE": "1"}
    assert wanted.items() <= web.environment.items()


def test_a_model_that_is_not_on_the_host_is_named_as_absent(write_lab: Callable[..., Path]) -> None:
    text = LAB.replace("disk: 100MiB", "disk: 100MiB, model: org/one, models: {two: org/two}")
    lab = load_folder(write_lab(text=text))
    layout = replace(declared_layout(lab), local_models={"org/one": "/models/org/one"})
    made = plan(lab, learner="ada", profile="cpu", layout=layout)
    assert made.absent_models == ["org/two"]
    assert "HF_HUB_OFFLINE" not in made.model_environment
