"""What `up` would do now, without doing it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from labctl.runtimes.base import State
from labctl.runtimes.cache import is_complete
from labctl.runtimes.folder import SessionFolder
from labctl.runtimes.local import config, envs, handles
from labctl.runtimes.local.census import Census
from labctl.runtimes.local.state import states

if TYPE_CHECKING:
    from labctl.plan import Plan

_WELL = (State.RUNNING, State.EXITED, State.STARTING)


def changes(plan: Plan, folder: SessionFolder, census: Census) -> list[str]:
    """One line a thing that would be made, started, replaced or ended; empty when the session runs as planned."""
    missing = [f"make environment {env.name}" for env in plan.envs if not is_complete(envs.folder(folder.home, env))]
    missing += [f"build model {model.name}" for model in plan.models if not is_complete(Path(model.path))]
    return [*missing, *_services(plan, folder, census)]


def _services(plan: Plan, folder: SessionFolder, census: Census) -> list[str]:
    wanted = config.programs(plan, folder, {env.name: str(envs.folder(folder.home, env)) for env in plan.envs})
    written = config.written_programs(folder)
    now = {service.name: service for service in states(handles.make(plan, folder), folder, census, probe=True)}
    found = []
    for name, section in wanted.items():
        if name not in written:
            found.append(f"start service {name}")
        elif section != written[name]:
            found.append(f"replace service {name}: its settings changed")
        elif now[name].state not in _WELL:
            found.append(f"start service {name} again: {now[name].reason or now[name].state}")
    return found + [f"end service {name}" for name in written if name not in wanted]
