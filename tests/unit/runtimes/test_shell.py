"""A shell in a session: the lab's PATH holds against the user's start-up files, and labctl is at hand."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from labctl.runtimes.folder import SessionFolder
from labctl.runtimes.local import shell


@pytest.mark.parametrize("program", ["bash", "zsh"])
def test_the_labs_environment_comes_first_whatever_the_users_files_do(tmp_path: Path, program: str) -> None:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"no {program} on PATH; sudo apt-get install {program}")
    for name in (".bashrc", ".zshrc"):
        (tmp_path / name).write_text("PATH=/of/the/user:$PATH\nmine=kept\n")
    folder = SessionFolder(tmp_path / "home", "demo--ada")
    path = f"/of/the/lab:/usr/bin:/bin:{shell.tools(folder)}"
    command = [*shell.command(folder, "demo", {"SHELL": found}), "-c", 'echo "$PATH $mine"; labctl --version']
    done = subprocess.run(
        command, env={"PATH": path, "HOME": str(tmp_path)}, capture_output=True, text=True, check=True, timeout=60
    )
    first, second = done.stdout.splitlines()
    assert first == f"{path} kept"
    assert second.startswith("labctl ")


def test_another_shell_is_started_as_it_is(tmp_path: Path) -> None:
    folder = SessionFolder(tmp_path, "demo--ada")
    assert shell.command(folder, "demo", {"SHELL": "/usr/bin/fish"}) == ["/usr/bin/fish"]
    assert shell.command(folder, "demo", {}) == ["sh"]
