"""`up` on a Docker engine, from images to healthy containers, and its opposite for GPUs. The caller holds the session's lock."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.errors import LabctlError
from labctl.progress import Progress, Step
from labctl.runtimes import handles as kept
from labctl.runtimes import secrets
from labctl.runtimes.base import Handle, Started
from labctl.runtimes.docker import handles, ingress, life, models, preparing, users
from labctl.runtimes.docker.engine import Engine
from labctl.runtimes.docker.parts import JUPYTER_TOKEN, WORKSPACE, Host, Part, parts
from labctl.runtimes.docker.session import Session
from labctl.runtimes.folder import SessionFolder

if TYPE_CHECKING:
    from labctl.plan import Plan


def up(plan: Plan, engine: Engine, folder: SessionFolder, progress: Progress, *, expires_at: str | None) -> Started:
    """Bring the session to its plan. Raises what `Runtime.up` raises."""
    host = preparing.host(plan, engine, preparing.images(plan, engine, progress))
    users.give(Path(host.workspace), host.user)
    secrets.ensure(folder.root, plan, *([JUPYTER_TOKEN] if host.listens else []))
    handle = handles.make(plan, host, folder)
    kept.write(plan, handle, folder, expires_at)
    session = Session(engine, folder, handle)
    made = [f"model {step.name}" for step in plan.models if models.make(session, plan, step, host, progress)]
    changed = life.bring(session, plan, parts(plan, host), progress, expires_at=expires_at)
    return Started(handle=handle, changed=tuple(dict.fromkeys([*made, *changed])))


def withdraw(engine: Engine, folder: SessionFolder, progress: Progress) -> Handle:
    """End what has the session's GPUs; the handle of what is left. Raises EngineError for what does not end.

    Everything else stays as it was made, whatever has become of the lab's folder and of labctl's images since; only a
    workspace that had GPUs is made anew without. Once the GPUs are free nothing more is an error: `status` says what is
    not well, and the next `up` mends it.
    """
    before = kept.plan(folder)
    plan = before.without_gpus()
    host = _as_it_was(before, engine, folder, progress)
    ways = kept.complete({"session": folder.session}, folder)["routes"]  # a new ingress would cut off whoever is in
    handle = {**handles.make(plan, host, folder), "routes": ways}
    session = Session(engine, folder, handle)
    left = parts(plan, host, ingress.revived(ways))
    names = {part.name for part in left}
    having = {part.name for part in parts(before, host) if part.gpus or part.name not in names}
    life.end(
        session, [seen for seen in session.refresh() if seen.part in having and seen.role in ("service", "workspace")]
    )
    expires_at = kept.expires_at(folder)
    kept.write(plan, handle, folder, expires_at)
    try:
        life.bring(session, plan, _mountable(left), progress, expires_at=expires_at)
    except LabctlError as error:
        progress(Step(name=folder.session, state="progress", detail=error.what))
    return handle


def _as_it_was(plan: Plan, engine: Engine, folder: SessionFolder, progress: Progress) -> Host:
    known = kept.complete({"session": folder.session}, folder).get("host")
    return Host(**known) if known else preparing.host(plan, engine, preparing.images(plan, engine, progress))


def _mountable(every: list[Part]) -> list[Part]:
    """A workspace that is made anew must do without those of the lab's files that are gone."""
    return [
        replace(part, mounts=tuple(mount for mount in part.mounts if Path(mount.source).exists()))
        if part.name == WORKSPACE
        else part
        for part in every
    ]
