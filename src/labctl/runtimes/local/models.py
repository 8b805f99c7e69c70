"""Models that the project builds itself: a command writes them into a folder, once."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.progress import Progress, Step
from labctl.runtimes.cache import Children, Failed, make_once, refuse
from labctl.runtimes.local import environment

if TYPE_CHECKING:
    from labctl.plan import ModelStep


def make(step: ModelStep, venv: Path, *, progress: Progress, children: Children) -> bool:
    """Build the model unless it is there; whether it was built. Raises PreflightError with what the command said."""
    name, place = f"model {step.name}", Path(step.path)
    log = place.with_name(f"{place.name}.log")

    def build(lock: int) -> None:
        progress(Step(name=name, state="started", detail=" ".join(word for word in step.command if word != "{out}")))
        out = place.with_name(f".{place.name}.making")
        shutil.rmtree(out, ignore_errors=True)
        with log.open("w") as stream:

            def on_line(line: str) -> None:
                stream.write(line + "\n")
                progress(Step(name=name, state="progress", detail=line[:200]))

            command = [word.replace("{out}", str(out)) for word in step.command]
            env = {**environment.of_host(), **environment.of_venv(str(venv)), "CUDA_VISIBLE_DEVICES": ""}
            program = shutil.which(command[0], path=env["PATH"]) or command[0]
            children.run([program, *command[1:]], env=env, cwd=Path(step.folder), lock=lock, on_line=on_line)
        if not out.is_dir():
            raise Failed(command, 0, [f"it wrote nothing to {out}"])
        os.replace(out, place)  # noqa: PTH105 - says that it replaces

    try:
        made = make_once(place, name, progress, build)
    except Failed as error:
        progress(Step(name=name, state="failed", detail=str(error)))
        refuse(f"{name} could not be built: {error}", error.lines, f"all that it said is in {log}")
    progress(Step(name=name, state="done" if made else "unchanged"))
    return made
