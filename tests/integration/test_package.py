"""The wheel, installed where the checkout is not: the same tool, with its labs."""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path

import pytest
import uv

from labctl.images.names import builtin_folder as images_folder
from labctl.index import for_uv
from labctl.labs.catalog import builtin_folder

ROOT = Path(__file__).resolve().parents[2]
KEPT = (".dockerignore", ".gitignore", ".ansible-lint", ".yamllint")


def run(*command: str, cwd: Path) -> str:
    values = {name: value for name, value in os.environ.items() if not name.startswith(("LABCTL_", "PYTHONPATH"))}
    result = subprocess.run(
        command, cwd=cwd, env=for_uv() | values, capture_output=True, text=True, check=False, timeout=300
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def is_left_out(part: str) -> bool:
    return part.startswith("__") or (part.startswith(".") and part not in KEPT)


@pytest.mark.slow
def test_the_wheel_carries_labs_and_images_and_runs_outside_the_tree(tmp_path: Path) -> None:
    program = uv.find_uv_bin()
    run(program, "build", "--quiet", "--wheel", "--out-dir", str(tmp_path), cwd=ROOT)
    (wheel,) = tmp_path.glob("labctl-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    for kind, folder in (("labs", builtin_folder()), ("docker", images_folder()), ("playbooks", ROOT / "playbooks")):
        packed = {name.removeprefix(f"labctl/_data/{kind}/") for name in names if f"_data/{kind}/" in name}
        files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
        assert packed == {path.as_posix() for path in files if not any(map(is_left_out, path.parts))}
    python = tmp_path / "venv" / "bin" / "python"
    run(program, "venv", "--quiet", str(tmp_path / "venv"), cwd=tmp_path)
    run(program, "pip", "install", "--quiet", "--python", str(python), str(wheel), cwd=tmp_path)
    listed = run(str(python.with_name("labctl")), "list", "--quiet", cwd=tmp_path).split()
    assert {"stage1-inference-api", "stage2-finetune"} <= set(listed)
    rendered = run(str(python.with_name("labctl")), "render", "stage2-finetune", "--format", "compose", cwd=tmp_path)
    assert "image: labctl/vllm:cpu-" in rendered
    assert run(str(python), "-m", "labctl", "--version", cwd=tmp_path).startswith("labctl ")
