"""JupyterLab behind a portal, as a container: what it is told, and what nobody else of the session is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.labs.lab import load_folder
from labctl.notebook import notebook
from labctl.plan import Plan
from labctl.planning import declared_layout, plan
from labctl.runtimes.docker.handles import make
from labctl.runtimes.docker.parts import Host, check, parts
from labctl.runtimes.folder import SessionFolder
from tests.conftest import LAB

TOLD = {
    "JUPYTERHUB_SERVICE_PREFIX": "/user/ada/small-lab/",
    "JUPYTERHUB_API_TOKEN": "s3cret",
    "JUPYTERHUB_API_URL": "http://127.0.0.1:14000/hub/api",
    "JUPYTERHUB_PUBLIC_URL": "",
}
SECRETS = frozenset({"JUPYTERHUB_API_TOKEN"})


@pytest.fixture
def made(write_lab: Callable[..., Path]) -> Plan:
    lab = load_folder(write_lab(text=LAB.replace("services:", "workspace: {image: docker/workspace}\nservices:")))
    return plan(lab, learner="ada", profile="cpu", layout=declared_layout(lab))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    images = {"docker/workspace": "labctl/workspace:1", "docker/ingress": "labctl/ingress:1"}
    return Host(
        images=images, workspace=str(tmp_path), models="/models", user="10001:0", listens=True, cpu_count=2, shown=()
    )


def told(made: Plan, token: str = "s3cret") -> Plan:
    return made.model_copy(update={"notebook": notebook({**TOLD, "JUPYTERHUB_API_TOKEN": token}, SECRETS, "/hub/door")})


def test_it_asks_the_hub_through_the_door_and_has_no_token_of_its_own(made: Plan, host: Host) -> None:
    workspace = next(part for part in parts(told(made), host) if part.name == "workspace")
    assert workspace.environment["JUPYTERHUB_API_URL"] == "http+unix://%2Frun%2Flabctl%2Fhub.sock/hub/api"
    assert workspace.environment["JUPYTERHUB_SERVICE_URL"] == "http://0.0.0.0:8888/user/ada/small-lab/"
    assert workspace.environment["JUPYTERHUB_API_TOKEN"] == "${LABCTL_SECRET_JUPYTERHUB_API_TOKEN}"
    assert "JUPYTER_TOKEN" not in workspace.environment
    assert [mount.source for mount in workspace.mounts if mount.target == "/run/labctl" and mount.read_only] == [
        "/hub/door"
    ]


def test_nobody_else_of_the_session_sees_the_hub(made: Plan, host: Host) -> None:
    others = [part for part in parts(told(made), host) if part.name != "workspace"] + [check(told(made), host)]
    for part in others:
        assert not any(name.startswith("JUPYTERHUB") for name in part.environment), part.name
        assert not any(mount.target == "/run/labctl" for mount in part.mounts), part.name


def test_another_token_makes_it_another_container_and_leaves_the_rest_alone(made: Plan, host: Host) -> None:
    before = {part.name: part.digest for part in parts(told(made), host)}
    after = {part.name: part.digest for part in parts(told(made, "another"), host)}
    assert [name for name in before if before[name] != after[name]] == ["workspace"]


def test_it_is_looked_at_under_its_prefix(made: Plan, host: Host, tmp_path: Path) -> None:
    folder = SessionFolder(tmp_path, made.session)
    assert make(told(made), host, folder)["services"]["workspace"]["healthcheck"]["http"] == "/user/ada/small-lab/api"
    assert make(made, host, folder)["services"]["workspace"]["healthcheck"]["http"] == "/api"


def test_an_image_without_jupyterlab_is_told_nothing(made: Plan, host: Host) -> None:
    plain = next(part for part in parts(told(made), replace(host, listens=False)) if part.name == "workspace")
    assert not any(name.startswith("JUPYTERHUB") for name in plain.environment)
