"""What a session is to become on the cluster, from its plan and the settings. Looks at this host's folders, asks no cluster."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.runtimes.docker import users
from labctl.runtimes.docker.labels import home_id
from labctl.runtimes.docker.parts import Host
from labctl.runtimes.folder import SessionFolder
from labctl.runtimes.kubernetes import handles, manifests
from labctl.runtimes.kubernetes.storage import Storage
from labctl.runtimes.kubernetes.up import Wanted

if TYPE_CHECKING:
    from labctl.plan import Plan
    from labctl.settings import Settings


def wanted(plan: Plan, settings: Settings, folder: SessionFolder, expires_at: str | None) -> Wanted:
    """Everything that `up` declares. Raises PreflightError, LabFileError."""
    storage = storage_of(plan, settings)
    host = _host(plan, settings, storage)
    declared = manifests.declared(
        plan, host, home=home_id(folder.home), expires_at=expires_at, storage=storage, scheduling=settings.scheduling
    )
    return Wanted(
        plan=plan, host=host, storage=storage, declared=declared, handle=handles.make(plan, host, storage, folder)
    )


def storage_of(plan: Plan, settings: Settings) -> Storage:
    """Where the session's workspace is."""
    folder = plan.workspace.source if settings.workspace_volume == "host" else None
    hub = str(settings.models) if settings.models and plan.hub_models else None
    return Storage(folder=folder, storage_class=settings.storage_class, hub=hub)


def _host(plan: Plan, settings: Settings, storage: Storage) -> Host:
    """Pods are the owner of a workspace that this host sees, so that what they write is theirs."""
    host = manifests.cluster_host(plan, settings)
    if storage.folder is None:
        return host
    workspace = Path(storage.folder)
    user = users.of_session(plan.session, workspace, rootless=False)
    return replace(host, user=user)
