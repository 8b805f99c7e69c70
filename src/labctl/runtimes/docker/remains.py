"""Everything on the engine that bears labctl's labels."""

from __future__ import annotations

from pathlib import Path

from labctl.images.engine import engine_errors
from labctl.runtimes.base import Remain
from labctl.runtimes.docker import labels
from labctl.runtimes.docker.engine import Engine


def of_home(engine: Engine, home: Path) -> list[Remain]:
    """Containers and networks of the sessions of this LABCTL_HOME. Raises EngineError."""
    wanted = labels.matching({labels.HOME: labels.home_id(home)})
    with engine_errors():
        containers = engine.client.api.containers(all=True, filters=wanted)
        networks = engine.client.api.networks(filters=wanted)
    found = [(each["Labels"], f"container {each['Names'][0].lstrip('/')}") for each in containers if each["Names"]]
    found += [(each["Labels"], f"network {each['Name']}") for each in networks]
    return [
        Remain(session=marks[labels.SESSION], what=what, expires_at=marks.get(labels.EXPIRES))
        for marks, what in found
        if labels.SESSION in marks
    ]
