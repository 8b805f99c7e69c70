"""Models that the project builds itself: a command writes one into a folder, once, for every session and runtime of this host."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.progress import Progress, Step
from labctl.runtimes.cache import Failed, make_once, refuse

if TYPE_CHECKING:
    from labctl.plan import ModelStep

OnLine = Callable[[str], None]
Build = Callable[[Path, int, OnLine], None]
"""Writes the model to a folder that does not exist yet; gets that, the lock's descriptor, and whom to tell each line. Raises Failed."""


def make(step: ModelStep, place: Path, build: Build, progress: Progress) -> bool:
    """Have `build` make the model at `place` unless it is there; whether it was made.

    Raises PreflightError with what the builder said; all of it is beside the model, in a file that ends in .log.
    """
    name = f"model {step.name}"
    log = place.with_name(f"{place.name}.log")

    def written(lock: int) -> None:
        progress(Step(name=name, state="started", detail=" ".join(word for word in step.command if word != "{out}")))
        out = place.with_name(f".{place.name}.making")
        shutil.rmtree(out, ignore_errors=True)
        with log.open("w") as stream:

            def on_line(line: str) -> None:
                stream.write(line + "\n")
                progress(Step(name=name, state="progress", detail=line[:200]))

            build(out, lock, on_line)
        if not out.is_dir():
            raise Failed(step.command, 0, [f"it wrote nothing to {out}"])
        os.replace(out, place)  # noqa: PTH105 - says that it replaces

    try:
        made = make_once(place, name, progress, written)
    except Failed as error:
        progress(Step(name=name, state="failed", detail=str(error)))
        refuse(f"{name} could not be built: {error}", error.lines, f"all that it said is in {log}")
    progress(Step(name=name, state="done" if made else "unchanged"))
    return made
