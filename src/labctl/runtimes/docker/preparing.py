"""What must be there before containers start: images, pulled or built at the same time, and what this host is like."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.images import catalog
from labctl.images.build import ensure
from labctl.images.engine import engine_errors
from labctl.images.names import is_ours
from labctl.progress import Progress, one_at_a_time
from labctl.runtimes import hub_models
from labctl.runtimes.docker import toolkit, users
from labctl.runtimes.docker.engine import Engine
from labctl.runtimes.docker.parts import JUPYTER_PORT, Host, shown
from labctl.runtimes.docker.parts import images as images_of

if TYPE_CHECKING:
    from labctl.plan import Plan

_PULLS = 3


def images(plan: Plan, engine: Engine, progress: Progress) -> Mapping[str, str]:
    """Every image of the plan on the engine, by what the lab file calls it. Raises EngineError; Ctrl-C ends all."""
    stop = threading.Event()
    told = one_at_a_time(progress)
    client, settings = engine.client, engine.settings

    def one(image: str) -> str:
        return ensure(client, image, plan.profile, settings, told, cancelled=stop.is_set)

    with ThreadPoolExecutor(_PULLS) as pool:
        try:
            wanted = images_of(plan)
            return dict(zip(wanted, pool.map(one, wanted), strict=True))
        except BaseException:
            stop.set()
            raise


def host(plan: Plan, engine: Engine, references: Mapping[str, str]) -> Host:
    """What the plan's containers need to know of this host."""
    workspace = Path(plan.workspace.source or plan.workspace.path)
    return Host(
        images=references,
        workspace=str(workspace),
        models=str(engine.settings.home / "models"),
        local_models=hub_models.on_host(plan.hub_models, engine.settings.models),
        user=users.of_session(plan.session, workspace, rootless=engine.info.rootless),
        listens=_listens(plan, engine, references),
        cpu_count=engine.info.cpu_count or 1,
        shown=shown(Path(plan.lab_path)),
        cdi=toolkit.by_cdi([gpu.uuid for gpu in plan.allocation.gpus] if plan.allocation else [], engine.info),
    )


def planned_host(plan: Plan, engine: Engine) -> Host:
    """The same before the images are there: as if each were what its name says."""
    references = {image: catalog.reference(image, plan.profile, engine.settings) for image in images_of(plan)}
    return host(plan, engine, references)


def _listens(plan: Plan, engine: Engine, references: Mapping[str, str]) -> bool:
    """Whether the workspace's image serves JupyterLab: it says so by exposing its port."""
    import docker.errors

    if not plan.workspace.image:
        return False
    api: Any = engine.client.api
    with engine_errors():
        try:
            config = api.inspect_image(references[plan.workspace.image])["Config"] or {}
        except docker.errors.ImageNotFound:
            return is_ours(plan.workspace.image)
    return f"{JUPYTER_PORT}/tcp" in (config.get("ExposedPorts") or {})
