"""Python environments from locked requirements files, made by uv and shared by labs."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from labctl import index
from labctl.errors import PreflightError
from labctl.progress import Progress, Step
from labctl.runtimes.cache import Children, Failed, make_once, refuse

if TYPE_CHECKING:
    from labctl.plan import EnvStep

_TORCH = re.compile(r"^torch\s*==", re.MULTILINE)


def folder(home: Path, env: EnvStep) -> Path:
    """Where the environment is, or will be."""
    return home / "envs" / env.folder


def make(home: Path, env: EnvStep, *, cpu_only: bool, progress: Progress, children: Children) -> bool:
    """Make the environment unless it is there; whether it was made. Raises PreflightError with what uv said."""
    name, place = f"environment {env.name}", folder(home, env)

    def build(lock: int) -> None:
        progress(Step(name=name, state="started", detail=_size(env)))
        for command in _commands(env, place, cpu_only=cpu_only):
            children.run(
                command,
                env=_environ(),
                cwd=place.parent,
                lock=lock,
                on_line=lambda line: progress(Step(name=name, state="progress", detail=line[:200])),
            )

    try:
        made = make_once(place, name, progress, build)
    except Failed as error:
        progress(Step(name=name, state="failed", detail=str(error)))
        refuse(
            f"{name} could not be made from {env.lock}",
            _meaningful(error.lines),
            "check the network, or pip's index settings, which uv is given; `labctl up` tries again where it stopped",
        )
    progress(Step(name=name, state="done" if made else "unchanged"))
    return made


def uv_binary() -> str:
    """The path of uv, which comes with labctl. Raises PreflightError when it is not there."""
    from uv import find_uv_bin

    try:
        return find_uv_bin()
    except FileNotFoundError as error:
        raise PreflightError("uv, which makes Python environments, is missing", "`pip install uv`") from error


def _commands(env: EnvStep, place: Path, *, cpu_only: bool) -> list[list[str]]:
    uv = uv_binary()
    sync = [uv, "pip", "sync", env.lock, "--python", str(place / "bin" / "python"), "--allow-empty-requirements"]
    if cpu_only and _TORCH.search(Path(env.lock).read_text()) and not index.has_own_index(_environ()):
        sync.append("--torch-backend=cpu")  # PyPI's own torch brings several GB of CUDA
    if index.is_off():
        sync.append("--no-index")
    return [[uv, "venv", "--python", sys.executable, "--no-project", "--prompt", env.name, str(place)], sync]


def _environ() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "CONDA_PREFIX")}
    return {**inherited, **index.for_uv(), "NO_COLOR": "1", "UV_NO_PROGRESS": "1"}


def _size(env: EnvStep) -> str:
    lines = Path(env.lock).read_text().splitlines()
    return f"{sum(1 for line in lines if line[:1].isalnum())} packages"


def _meaningful(lines: list[str]) -> list[str]:
    """What uv said from its first complaint on, or its last lines."""
    marks = [number for number, line in enumerate(lines) if line.lower().startswith(("error", "  ×", "×"))]
    return lines[marks[0] :] if marks else lines
