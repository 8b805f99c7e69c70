"""Building a model as a process of this user."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.progress import Progress
from labctl.runtimes import models
from labctl.runtimes.cache import Children
from labctl.runtimes.local import environment

if TYPE_CHECKING:
    from labctl.plan import ModelStep


def make(step: ModelStep, venv: Path, *, progress: Progress, children: Children) -> bool:
    """Build the model unless it is there; whether it was built. Raises PreflightError with what the command said."""

    def build(out: Path, lock: int, on_line: models.OnLine) -> None:
        command = [word.replace("{out}", str(out)) for word in step.command]
        own = {"PYTHONPATH": ":".join(step.modules), "PYTHONDONTWRITEBYTECODE": "1", "CUDA_VISIBLE_DEVICES": ""}
        env = {**environment.of_host(), **environment.of_venv(str(venv)), **own}
        program = shutil.which(command[0], path=env["PATH"]) or command[0]
        children.run([program, *command[1:]], env=env, cwd=Path(step.folder), lock=lock, on_line=on_line)

    return models.make(step, Path(step.path), build, progress)
