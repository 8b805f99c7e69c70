"""What is kept of a plan so that its session can be found, judged and ended later: JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.runtimes import gpus
from labctl.runtimes.folder import SessionFolder
from labctl.runtimes.local import environment, envs

if TYPE_CHECKING:
    from labctl.plan import Plan, ServicePlan


def make(plan: Plan, folder: SessionFolder) -> dict[str, Any]:
    """The handle of the session that `plan` describes."""
    venvs = {env.name: str(envs.folder(folder.home, env)) for env in plan.envs}
    venv = venvs.get(plan.workspace.env or "")
    return {
        "session": plan.session,
        "lab": plan.lab,
        "home": str(folder.home),
        "root": str(folder.root),
        "workspace": plan.workspace.path,
        "lab_path": plan.lab_path,
        "models": str(folder.home / "models"),
        "model_paths": [path for path in plan.hub_models.values() if Path(path).is_absolute()],
        "env": f"{venv}/bin" if venv else None,
        "environment": {
            **environment.of_session(plan, folder.home),
            **gpus.visible(plan.allocation),
            **environment.of_urls(plan),
            **environment.of_venv(venv),
            **plan.workspace.environment,
        },
        "services": {service.name: _service(plan, service, folder.home, venvs) for service in plan.services},
    }


def grace_s(handle: Mapping[str, Any]) -> float:
    """How long the session's services may take to end."""
    return max((service["grace_s"] for service in handle.get("services", {}).values()), default=10.0)


def _service(plan: Plan, service: ServicePlan, home: Path, venvs: Mapping[str, str]) -> dict[str, Any]:
    return {
        "ports": dict(service.ports),
        "healthcheck": service.healthcheck.model_dump() if service.healthcheck else None,
        "owner": service.owner,
        "is_job": service.is_awaited(plan.services),
        "grace_s": service.stop_grace_period,
        "environment": environment.of_service(plan, service, home, venvs.get(service.env or "")),
    }
