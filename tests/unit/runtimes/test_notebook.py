"""JupyterLab as a service of a session on this host: whose Python, whose files, whose settings."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.labs.lab import load_folder
from labctl.notebook import notebook
from labctl.plan import Plan
from labctl.planning import plan
from labctl.runtimes.folder import SessionFolder
from labctl.runtimes.local import notebook as local
from labctl.runtimes.local.runtime import LocalRuntime
from labctl.settings import Settings
from tests.conftest import LAB

TOLD = {"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/small-lab/", "JUPYTERHUB_API_TOKEN": "s3cret"}


@pytest.fixture
def folder(chosen: Settings) -> SessionFolder:
    folder = SessionFolder(chosen.home, "small-lab--ada")
    folder.create()
    return folder


@pytest.fixture
def make_plan(chosen: Settings, write_lab: Callable[..., Path], tmp_path: Path) -> Callable[[str], Plan]:
    """A plan with a notebook; more lines of the lab file may be given."""

    def make(more: str = "") -> Plan:
        lab = load_folder(write_lab(text=LAB.replace("services:", f"{more}\nservices:")))
        layout = LocalRuntime(chosen).layout(lab, "small-lab--ada", tmp_path / "work")
        made = plan(lab, learner="ada", profile="cpu", layout=layout)
        return made.model_copy(update={"notebook": notebook(TOLD, frozenset({"JUPYTERHUB_API_TOKEN"}))})

    return make


def test_it_is_one_more_service_under_its_prefix_and_adding_it_twice_adds_it_once(
    make_plan: Callable[[str], Plan], folder: SessionFolder
) -> None:
    made = local.added(make_plan(""), folder)
    service = made.service("workspace")
    assert service is not None
    assert service.command == [
        str(folder.home / "envs" / made.env("jupyterlab").folder / "bin" / "jupyterhub-singleuser")
    ]
    assert service.healthcheck is not None
    assert service.healthcheck.http == "/user/ada/small-lab/api"
    assert (
        service.environment["JUPYTERHUB_SERVICE_URL"] == f"http://127.0.0.1:{service.ports['http']}/user/ada/small-lab/"
    )
    assert service.environment["JUPYTERHUB_API_TOKEN"] == "${LABCTL_SECRET_JUPYTERHUB_API_TOKEN}"
    assert local.added(made, folder) == made
    plain = make_plan("").model_copy(update={"notebook": None})
    assert local.added(plain, folder) == plain


def test_its_port_is_kept_for_as_long_as_the_session_is(
    make_plan: Callable[[str], Plan], folder: SessionFolder
) -> None:
    ports = [local.added(make_plan(""), folder).services[-1].ports for _ in range(2)]
    assert ports[0] == ports[1]


def test_notebooks_and_terminals_have_the_labs_python(make_plan: Callable[[str], Plan], folder: SessionFolder) -> None:
    made = local.added(make_plan("workspace: {env: web}"), folder)
    local.write(made, folder)
    env = made.services[-1].environment
    web = folder.home / "envs" / made.env("web").folder
    assert env["PATH"].startswith(f"{web}/bin:")
    assert env["LABCTL_URL_PAGE"].startswith("http://127.0.0.1:")
    kernel = json.loads(Path(env["JUPYTER_PATH"], "kernels/python3/kernel.json").read_text())
    assert kernel["argv"][0] == f"{web}/bin/python"


def test_the_layout_is_the_learners_own_once_it_is_there(
    make_plan: Callable[[str], Plan], folder: SessionFolder
) -> None:
    made = local.added(make_plan(""), folder)
    local.write(made, folder)
    (layout,) = Path(made.services[-1].environment["JUPYTERLAB_WORKSPACES_DIR"]).iterdir()
    assert "markdownviewer-widget:README.md" in layout.read_text()
    layout.write_text("mine")
    local.write(made, folder)
    assert layout.read_text() == "mine"


def test_a_terminal_of_a_class_reads_no_start_up_file_of_whoever_runs_labctl(
    make_plan: Callable[[str], Plan], folder: SessionFolder, tmp_path: Path
) -> None:
    made = local.added(make_plan(""), folder)
    local.write(made, folder)
    (tmp_path / ".bashrc").write_text("echo the host's\n")
    settings = json.loads(
        Path(made.services[-1].environment["JUPYTER_CONFIG_DIR"], "jupyter_server_config.json").read_text()
    )
    command = settings["ServerApp"]["terminado_settings"]["shell_command"]
    said = subprocess.run(
        [*command, "-c", "true"] if command == ["/bin/sh"] else command,
        input="exit\n",
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "the host's" not in said.stdout
