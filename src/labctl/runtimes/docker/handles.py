"""What is kept of a plan so that its session can be found, judged and looked into later: JSON values."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from labctl.runtimes.docker import notebook
from labctl.runtimes.docker.parts import JUPYTER_CHECK, JUPYTER_PORT, WORKSPACE, Host, check, image_of_workspace, routes
from labctl.runtimes.folder import SessionFolder

if TYPE_CHECKING:
    from labctl.plan import Plan


def make(plan: Plan, host: Host, folder: SessionFolder) -> dict[str, Any]:
    """The handle of the session that `plan` describes. `paths` maps folders of the session to folders of this host."""
    services: dict[str, Any] = {
        service.name: {
            "ports": dict(service.ports),
            "healthcheck": service.healthcheck.model_dump() if service.healthcheck else None,
            "owner": service.owner,
            "is_job": service.is_awaited(plan.services),
            "grace_s": service.stop_grace_period,
        }
        for service in plan.services
    }
    if plan.workspace.image:
        services[WORKSPACE] = {
            "ports": {"http": JUPYTER_PORT} if host.listens else {},
            "healthcheck": _jupyter_check(plan) if host.listens else None,
            "owner": "lab",
            "is_job": False,
            "grace_s": 2.0,
        }
    handle = {
        "session": plan.session,
        "lab": plan.lab,
        "home": str(folder.home),
        "workspace": host.workspace,
        "lab_path": plan.lab_path,
        "paths": _paths(plan, host),
        "services": services,
        "routes": [asdict(route) for route in routes(plan, host)],
        "check": asdict(check(plan, host)) if image_of_workspace(plan) else None,
        "disk_mib": plan.disk_mib,
        "notebook": plan.notebook is not None,
        "host": asdict(host),
    }
    made: dict[str, Any] = json.loads(json.dumps(handle))  # as it will be read back: lists, no tuples
    return made


def _jupyter_check(plan: Plan) -> dict[str, Any]:
    return notebook.healthcheck(plan.notebook, JUPYTER_CHECK) if plan.notebook else JUPYTER_CHECK


def _paths(plan: Plan, host: Host) -> dict[str, str]:
    models = {model.path: f"{host.models}/{PurePosixPath(model.path).name}" for model in plan.models}
    models |= {plan.hub_models[name]: local for name, local in host.local_models.items()}
    return {plan.workspace.path: host.workspace, "/lab": plan.lab_path, **models}
