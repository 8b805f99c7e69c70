"""Building a model in a container, which sees nothing but the recipe and the folder it writes to."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from labctl.progress import Progress
from labctl.runtimes import models, secrets
from labctl.runtimes.cache import Children, is_complete
from labctl.runtimes.docker import cli, containers, labels, users
from labctl.runtimes.docker.parts import Host, build

if TYPE_CHECKING:
    from labctl.plan import ModelStep, Plan
    from labctl.runtimes.docker.session import Session


def place(step: ModelStep, host: Host) -> Path:
    """Where the model is on this host; the local runtime's place for it too."""
    return Path(host.models) / PurePosixPath(step.path).name


def missing(plan: Plan, host: Host) -> list[ModelStep]:
    """The models of the plan that must be built first."""
    return [step for step in plan.models if not is_complete(place(step, host))]


def make(session: Session, plan: Plan, step: ModelStep, host: Host, progress: Progress) -> bool:
    """Build the model unless it is there; whether it was built. Raises PreflightError with what the command said."""

    def built(out: Path, lock: int, on_line: models.OnLine) -> None:
        folder = out.with_name(f"{out.name}.out")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o755)
        users.give(folder, host.user)
        part = build(plan, step, host, folder)
        container = containers.create(
            session.client,
            part,
            marks=labels.of_plan(session.folder.home, plan, None),
            networks=None,
            secrets=secrets.read(session.folder.root),
            info=session.engine.info,
            stdin=True,
        )
        try:
            env = cli.environment(session.engine.url)
            Children().run(cli.attach(container), env=env, cwd=Path("/"), lock=lock, on_line=on_line)
        finally:
            containers.remove(session.client, container, None)
        made = folder / "model"
        if made.is_dir() and not made.is_symlink():
            users.take(made)
            made.rename(out)
        shutil.rmtree(folder, ignore_errors=True)

    return models.make(step, place(step, host), built, progress)
