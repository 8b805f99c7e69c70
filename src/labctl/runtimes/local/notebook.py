"""JupyterLab as one more service of a session on this host: its environment, its settings, what it opens with."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.disk import write_atomically
from labctl.images.names import builtin_folder
from labctl.runtimes import gpus
from labctl.runtimes.exchange import LOOPBACK, NOTEBOOK
from labctl.runtimes.folder import SessionFolder
from labctl.runtimes.local import environment, envs, ports, shell

if TYPE_CHECKING:
    from labctl.notebook import Notebook
    from labctl.plan import EnvStep, Plan

PORT = (NOTEBOOK, "http")
_ENV = "jupyterlab"
_LAYOUT = "default-37a8.jupyterlab-workspace"
"""How JupyterLab names the file of its workspace `default`."""
_START_S = 120.0
_PASSED_ON = ("LABCTL_LABS", "LABCTL_WORKSPACES", "LABCTL_DATABASE_URL", "LABCTL_MODELS")
"""For `labctl verify` in its terminals."""


def added(plan: Plan, folder: SessionFolder) -> Plan:
    """The plan with JupyterLab among its services, where it has a notebook and not yet this."""
    if plan.notebook is None or plan.service(PORT[0]):
        return plan
    from labctl.labs.spec import Healthcheck
    from labctl.plan import ServicePlan

    env = _env()
    service = ServicePlan(
        name=PORT[0],
        image=None,
        env=None,
        command=[str(envs.folder(folder.home, env) / "bin" / "jupyterhub-singleuser")],
        environment=_environment(plan, plan.notebook, folder),
        ports={PORT[1]: ports.of(folder)[PORT]},
        healthcheck=Healthcheck(http=f"{plan.notebook.prefix}api", timeout=_START_S),
        depends_on={},
        owner="lab",
        restart="on-failure",
        stop_grace_period=5.0,
        gpu=False,
        digest=plan.notebook.mark,
    )
    return plan.model_copy(update={"services": [*plan.services, service], "envs": [*plan.envs, env]})


def write(plan: Plan, folder: SessionFolder) -> None:
    """What JupyterLab reads when it starts. The layout is for the first time: from then on it is the learner's own."""
    if plan.notebook is None:
        return
    place = _place(folder)
    settings = place / "config"
    _write(settings / "jupyter_server_config.json", _settings(plan, folder))
    _write(settings / "labconfig" / "page_config.json", _jupyter_file("page_config.json"))
    _write(place / "data" / "kernels" / "python3" / "kernel.json", _kernel(plan, folder))
    notice, source = place / "data" / "labextensions" / "labctl-notice", _jupyter() / "notice"
    _write_text(notice / "package.json", (source / "package.json").read_text(encoding="utf-8"))
    _write_text(notice / "static" / "remoteEntry.js", (source / "remoteEntry.js").read_text(encoding="utf-8"))
    if not (place / "workspaces" / _LAYOUT).exists():
        _write(place / "workspaces" / _LAYOUT, _jupyter_file("layout.json"))


def _env() -> EnvStep:
    from labctl.plan import EnvStep

    lock = _jupyter() / "jupyter.txt"
    return EnvStep(name=_ENV, lock=str(lock), digest=hashlib.sha256(lock.read_bytes()).hexdigest())


def _environment(plan: Plan, notebook: Notebook, folder: SessionFolder) -> dict[str, str]:
    """That of the learner's shell, so that its terminals have it; then where it serves, and where its settings are."""
    place, url = _place(folder), f"http://{LOOPBACK}:{ports.of(folder)[PORT]}{notebook.prefix}"
    own = environment.of_venv(_venv(plan, folder))
    return {
        **gpus.visible(plan.allocation),
        **environment.of_urls(plan),
        **own,
        "PATH": f"{own['PATH']}:{folder.root / 'bin'}",
        **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        **plan.workspace.environment,
        **notebook.environment,
        "JUPYTERHUB_SERVICE_URL": url,
        "JUPYTER_CONFIG_DIR": str(place / "config"),
        "JUPYTER_DATA_DIR": str(place / "data"),
        "JUPYTER_PATH": str(place / "data"),  # before what is in its own environment, whose kernel is not the lab's
        "JUPYTER_RUNTIME_DIR": str(place / "runtime"),
        "JUPYTERLAB_WORKSPACES_DIR": str(place / "workspaces"),
        "JUPYTERLAB_SETTINGS_DIR": str(place / "settings"),
        "IPYTHONDIR": str(place / "ipython"),
        "SHELL": shell.of_a_class(folder, plan.lab)[0],
    }


def _settings(plan: Plan, folder: SessionFolder) -> dict[str, Any]:
    shell.tools(folder)
    command = shell.of_a_class(folder, plan.lab)
    return {
        "ServerApp": {
            "root_dir": plan.workspace.path,
            "terminado_settings": {"shell_command": command},
            "allow_root": True,  # it runs as whoever runs labctl, as everything on this runtime
            "jpserver_extensions": {"jupyter_lsp": False, "notebook_shim": False},  # seconds to look for 20 servers
        },
        "LabApp": {"extension_manager": "readonly", "news_url": None},
    }


def _kernel(plan: Plan, folder: SessionFolder) -> dict[str, Any]:
    """The lab's Python where the lab has an environment; ipykernel comes out of JupyterLab's, as in docker/shared/jupyter."""
    own = envs.folder(folder.home, _env())
    python = Path(_venv(plan, folder) or own) / "bin" / "python"
    code = (
        "import sys, sysconfig; "
        f"sys.path.append(sysconfig.get_path('purelib', vars=dict(base={str(own)!r}, platbase={str(own)!r}))); "
        "from ipykernel.kernelapp import launch_new_instance; launch_new_instance()"
    )
    return {
        "argv": [str(python), "-c", code, "-f", "{connection_file}"],
        "display_name": "Python (lab)",
        "language": "python",
    }


def _venv(plan: Plan, folder: SessionFolder) -> str | None:
    return str(envs.folder(folder.home, plan.env(plan.workspace.env))) if plan.workspace.env else None


def _place(folder: SessionFolder) -> Path:
    return folder.root / "jupyter"


def _jupyter() -> Path:
    return builtin_folder() / "shared" / "jupyter"


def _jupyter_file(name: str) -> Mapping[str, Any]:
    values: dict[str, Any] = json.loads((_jupyter() / name).read_text(encoding="utf-8"))
    return values


def _write(file: Path, values: Mapping[str, Any]) -> None:
    _write_text(file, json.dumps(values, indent=1))


def _write_text(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomically(file, text)
