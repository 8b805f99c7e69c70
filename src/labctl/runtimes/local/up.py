"""`up` on this host, from environments to healthy services, and its opposite for GPUs. The caller holds the session's lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl.errors import UnhealthyError
from labctl.progress import Progress, Step
from labctl.runtimes import handles as kept
from labctl.runtimes import secrets
from labctl.runtimes.base import Handle, Started
from labctl.runtimes.folder import SessionFolder
from labctl.runtimes.local import handles, life, notebook
from labctl.runtimes.local.prepare import prepare

if TYPE_CHECKING:
    from labctl.plan import Plan


def up(plan: Plan, folder: SessionFolder, progress: Progress, *, expires_at: str | None) -> Started:
    """Bring the session to its plan. Raises what `Runtime.up` raises."""
    secrets.ensure(folder.root, plan)
    handle = handles.make(plan, folder)
    kept.write(plan, handle, folder, expires_at)
    notebook.write(plan, folder)
    made = prepare(plan, folder.home, progress)
    changed = life.bring_up(plan, handle, folder, progress)
    return Started(handle=handle, changed=tuple(dict.fromkeys([*made, *changed])))


def withdraw(folder: SessionFolder, progress: Progress) -> Handle:
    """End what uses the session's GPUs; the handle of what is left. Raises EngineError for what does not end.

    The plan is kept first: whoever is killed in the middle leaves a session that the next `up`, or the same again, mends.
    A service without a GPU that is not well is no reason to keep the GPUs: `status` says it.
    """
    before = kept.plan(folder)
    plan = before.without_gpus()
    handle = handles.make(plan, folder)
    kept.write(plan, handle, folder, kept.expires_at(folder))
    users = [service for service in before.services if service.gpu]
    life.end_services([service.name for service in users], handles.grace_s(handles.make(before, folder)), folder)
    life.end_gpu_users(folder)
    try:
        life.bring_up(plan, handle, folder, progress)
    except UnhealthyError as error:
        progress(Step(name=folder.session, state="progress", detail=error.what))
    return handle
