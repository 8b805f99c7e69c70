"""A fake NVML library, compiled here and asked through the real bindings."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("fake_nvml.c")
Fake = Callable[..., str]


@pytest.fixture
def fake_nvml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """`fake_nvml(scenario, without=[...])` is the path of a library that plays the scenario, without these functions."""

    def build(scenario: str, without: Sequence[str] = ()) -> str:
        script = tmp_path / "scenario.txt"
        script.write_text(scenario)
        monkeypatch.setenv("FAKE_NVML", str(script))
        return str(_compile(tmp_path, without))

    return build


def _compile(folder: Path, without: Sequence[str]) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler here: install gcc to test against the fake NVML library")
    library, exports = folder / "libnvidia-ml.so.1", folder / "exports.map"
    hidden = "".join(f"{name}; " for name in without)
    exports.write_text(f"{{ global: *; local: {hidden}}};\n" if without else "{ global: *; };\n")
    options = ["-shared", "-fPIC", "-O0", "-Wall", "-Werror", f"-Wl,--version-script={exports}"]
    subprocess.run([compiler, *options, "-o", str(library), str(SOURCE)], check=True)
    return library
