"""`up` on a Docker engine, from images to healthy containers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from labctl.progress import Progress
from labctl.runtimes import handles as kept
from labctl.runtimes import secrets
from labctl.runtimes.base import Started
from labctl.runtimes.docker import handles, life, models, preparing, users
from labctl.runtimes.docker.engine import Engine
from labctl.runtimes.docker.parts import JUPYTER_TOKEN, parts
from labctl.runtimes.docker.session import Session
from labctl.runtimes.folder import SessionFolder

if TYPE_CHECKING:
    from labctl.plan import Plan


def up(plan: Plan, engine: Engine, folder: SessionFolder, progress: Progress, *, expires_at: str | None) -> Started:
    """Bring the session to its plan. The caller holds the session's lock. Raises what `Runtime.up` raises."""
    host = preparing.host(plan, engine, preparing.images(plan, engine, progress))
    users.give(Path(host.workspace), host.user)
    secrets.ensure(folder.root, plan, *([JUPYTER_TOKEN] if host.listens else []))
    handle = handles.make(plan, host, folder)
    kept.write(plan, handle, folder, expires_at)
    session = Session(engine, folder, handle)
    made = [f"model {step.name}" for step in plan.models if models.make(session, plan, step, host, progress)]
    changed = life.bring(session, plan, parts(plan, host), progress, expires_at=expires_at)
    return Started(handle=handle, changed=tuple(dict.fromkeys([*made, *changed])))
