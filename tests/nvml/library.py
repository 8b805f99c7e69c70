"""A fake NVML library, compiled here, and the scenarios that it plays; `fake_nvml.c` says what one can hold.

library = compile_fake(tmp_path)
monkeypatch.setenv("LABCTL_NVML_LIBRARY", str(library))
monkeypatch.setenv("FAKE_NVML", str(scenario(tmp_path / "scenario.json", gpus=[gpu("GPU-1", total_gib=80)])))
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
SOURCES = (HERE / "fake_nvml.c", HERE / "json.h")
SCENARIOS = HERE / "scenarios"
NVLINK, BOARD, SWITCH, NODE, SYSTEM = "nvlink", 0, 10, 40, 50
"""How two GPUs of a scenario are linked: by NVLink, or a nvmlGpuTopologyLevel_t."""


def compile_fake(folder: Path, without: Sequence[str] = ()) -> Path:
    """The library, in `folder`, with these functions really missing; made once for each text of its source."""
    hidden = "".join(f"{name}; " for name in sorted(without))
    text = b"".join(source.read_bytes() for source in SOURCES) + hidden.encode()
    made = folder / hashlib.sha256(text).hexdigest()[:16]
    library, exports = made / "libnvidia-ml.so.1", made / "exports.map"
    if library.exists():
        return library
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler here: install gcc to test against the fake NVML library")
    made.mkdir(parents=True, exist_ok=True)
    exports.write_text(f"{{ global: *; local: {hidden}}};\n" if hidden else "{ global: *; };\n")
    options = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", f"-Wl,--version-script={exports}"]
    part = made / f"part-{os.getpid()}.so"
    subprocess.run([compiler, *options, "-o", str(part), str(SOURCES[0])], check=True)
    part.replace(library)
    return library


def scenario(path: Path, *, gpus: Sequence[dict[str, Any]] = (), **more: Any) -> Path:
    """Writes a scenario to `path`: `errors`, `hangs`, `links`, `driver` and the like beside its GPUs."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"gpus": list(gpus), **more}, indent=2) + "\n")
    return part.replace(path)  # a reader sees the old one or the new one


def gpu(uuid: str = "GPU-1", *, total_gib: float = 80, used_gib: float = 1, **more: Any) -> dict[str, Any]:
    """A healthy GPU of today. `more` adds figures and replaces them; None makes one not supported."""
    figures = {
        "name": "NVIDIA H100 80GB HBM3",
        "uuid": uuid,
        "total_mib": int(total_gib * 1024),
        "free_mib": int((total_gib - used_gib) * 1024),
        "compute_capability": "9.0",
        "processes": [],
        "virtualization_mode": 0,
        "mig_mode": 0,
        "recovery_action": 0,
        "fabric_state": 3,
    }
    return {**figures, **more}


def mig_slice(
    uuid: str, profile: str = "1g.10gb", *, total_gib: float = 10, used_gib: float = 1, **more: Any
) -> dict[str, Any]:
    """A slice for a GPU's `mig`, with `mig_mode=1` beside it."""
    figures = {
        "name": f"NVIDIA H100 80GB HBM3 MIG {profile}",
        "uuid": uuid,
        "total_mib": int(total_gib * 1024),
        "free_mib": int((total_gib - used_gib) * 1024),
        "processes": [],
    }
    return {**figures, **more}


def links(count: int, level: str | int = NVLINK) -> list[dict[str, Any]]:
    """All pairs of `count` GPUs, linked in the same way."""
    how = {"nvlink": True} if level == NVLINK else {"level": level}
    return [{"a": a, "b": b, **how} for b in range(count) for a in range(b)]
