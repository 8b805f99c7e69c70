"""A model of a hub, brought into the folder that LABCTL_MODELS names: whole or not at all, gone on with after an interruption."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path

from labctl import index
from labctl.disk import locked
from labctl.errors import PreflightError
from labctl.progress import Progress, Step
from labctl.runtimes.cache import Children, Failed, refuse
from labctl.runtimes.local.envs import uv_binary

SUMS = ".labctl-sha256"
"""In a hub's model that labctl brought: its files and their sums, written last."""
_CHUNK = 4 * 2**20
_QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "NO_COLOR": "1",
}
_PROGRAM = "huggingface_hub>=1.0,<2"


def fetch(name: str, folder: Path, progress: Progress) -> None:
    """Download the model `name` to `folder`, by the hub's own program; HF_ENDPOINT and HF_TOKEN are its.

    Raises PreflightError with what it said. What came before an interruption lies beside, and is not downloaded again.
    """
    step = f"model {name}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    coming = folder.with_name(f".{folder.name}.coming")

    def waiting() -> None:
        progress(Step(name=step, state="progress", detail="waiting for another labctl that fetches it"))

    with locked(folder.with_name(f".{folder.name}.lock"), waiting) as lock:
        if folder.is_dir():
            progress(Step(name=step, state="unchanged"))
            return
        progress(Step(name=step, state="started", detail="downloading"))
        _download(name, coming, lock, progress)
        shutil.rmtree(coming / ".cache", ignore_errors=True)  # what the program remembers of its downloads
        sums = "".join(f"{_sum(path)}  {path.relative_to(coming).as_posix()}\n" for path in _files(coming))
        (coming / SUMS).write_text(sums)
        coming.rename(folder)
    progress(Step(name=step, state="done", detail=f"{len(sums.splitlines())} files"))


def _download(name: str, coming: Path, lock: int, progress: Progress) -> None:
    program = [uv_binary(), "tool", "run", "--quiet", "--python", sys.executable, "--from", _PROGRAM, "hf"]
    children = Children()
    try:
        children.run(
            [*program, "download", name, "--local-dir", str(coming)],
            env={**os.environ, **index.for_uv(), **_QUIET},
            cwd=coming.parent,
            lock=lock,
            on_line=lambda line: progress(Step(name=f"model {name}", state="progress", detail=line[:200])),
        )
    except Failed as error:
        progress(Step(name=f"model {name}", state="failed", detail=str(error)))
        said = [line for line in error.lines if not line.startswith("Hint:")]  # of its own new versions
        refuse(f"{name} could not be downloaded", said, _HINT)
    except BaseException:
        children.end()
        raise
    if not any(_files(coming)):
        raise PreflightError(f"the hub has no files of {name}", _HINT)


_HINT = (
    "is the hub reached (HF_ENDPOINT names a mirror), and does the model need a login (HF_TOKEN)? "
    "Without a hub: `labctl bundle` on a machine that reaches it, `labctl unbundle` here"
)


def _files(folder: Path) -> list[Path]:
    """Hidden ones left out, as in a bundle."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def _sum(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as content:
        while piece := content.read(_CHUNK):
            found.update(piece)
    return found.hexdigest()
