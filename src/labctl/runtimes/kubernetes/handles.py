"""What a session's handle holds: whatever state, logs, exec and checks need to know without the lab's folder. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from labctl.runtimes.docker import notebook
from labctl.runtimes.docker.labels import home_id
from labctl.runtimes.docker.parts import JUPYTER_CHECK, JUPYTER_PORT, WORKSPACE, Host, check, image_of_workspace
from labctl.runtimes.kubernetes import labels

if TYPE_CHECKING:
    from labctl.plan import Plan
    from labctl.runtimes.folder import SessionFolder
    from labctl.runtimes.kubernetes.storage import Storage


def make(plan: Plan, host: Host, storage: Storage, folder: SessionFolder) -> dict[str, Any]:
    """The handle."""
    services: dict[str, Any] = {
        service.name: {
            "ports": dict(service.ports),
            "healthcheck": service.healthcheck.model_dump() if service.healthcheck else None,
            "owner": service.owner,
            "is_job": service.is_awaited(plan.services),
            "grace_s": service.stop_grace_period,
            "replicas": service.replicas,
        }
        for service in plan.services
    }
    if plan.workspace.image:
        jupyter = notebook.healthcheck(plan.notebook, JUPYTER_CHECK) if plan.notebook else JUPYTER_CHECK
        services[WORKSPACE] = {
            "ports": {"http": JUPYTER_PORT} if host.listens else {},
            "healthcheck": jupyter if host.listens else None,
            "owner": "lab",
            "is_job": False,
            "grace_s": 2.0,
        }
    handle = {
        "session": plan.session,
        "lab": plan.lab,
        "home": str(folder.home),
        "namespace": labels.namespace(plan.session, home_id(folder.home)),
        "workspace": plan.workspace.path,
        "lab_path": plan.lab_path,
        "services": services,
        "check": asdict(check(plan, host)) if image_of_workspace(plan) else None,
        "storage": asdict(storage),
        "models": [model.path for model in plan.models],
        "notebook": plan.notebook is not None,
        "host": asdict(host),
    }
    made: dict[str, Any] = json.loads(json.dumps(handle))  # as it will be read back: lists, no tuples
    return made
