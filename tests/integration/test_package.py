"""The wheel, installed where the checkout is not: the same tool, with its labs."""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path

import pytest
import uv

from labctl.index import for_uv
from labctl.labs.catalog import builtin_folder

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str, cwd: Path) -> str:
    values = {name: value for name, value in os.environ.items() if not name.startswith(("LABCTL_", "PYTHONPATH"))}
    result = subprocess.run(
        command, cwd=cwd, env=for_uv() | values, capture_output=True, text=True, check=False, timeout=300
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.slow
def test_the_wheel_carries_the_labs_and_runs_outside_the_tree(tmp_path: Path) -> None:
    program = uv.find_uv_bin()
    run(program, "build", "--quiet", "--wheel", "--out-dir", str(tmp_path), cwd=ROOT)
    (wheel,) = tmp_path.glob("labctl-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name.removeprefix("labctl/_data/labs/") for name in archive.namelist() if "_data/labs/" in name}
    files = [path.relative_to(builtin_folder()) for path in builtin_folder().rglob("*") if path.is_file()]
    shipped = {path.as_posix() for path in files if not any(part.startswith((".", "__")) for part in path.parts)}
    assert packed == shipped
    python = tmp_path / "venv" / "bin" / "python"
    run(program, "venv", "--quiet", str(tmp_path / "venv"), cwd=tmp_path)
    run(program, "pip", "install", "--quiet", "--python", str(python), str(wheel), cwd=tmp_path)
    listed = run(str(python.with_name("labctl")), "list", "--quiet", cwd=tmp_path).split()
    assert {"stage1-inference-api", "stage2-finetune"} <= set(listed)
    assert run(str(python), "-m", "labctl", "--version", cwd=tmp_path).startswith("labctl ")
