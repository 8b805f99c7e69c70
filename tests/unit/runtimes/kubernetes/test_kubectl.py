"""The words that kubectl gets, run by a `kubectl` that is a script: it drops its own arguments and runs the rest here."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from labctl.errors import PreflightError
from labctl.runtimes.kubernetes import kubectl
from labctl.runtimes.kubernetes.streams import Place

PLACE = Place(namespace="lab", pod="web-1", container="web")
STAND_IN = """\
#!/bin/sh
until [ "$1" = -- ]; do shift; done; shift
exec "$@"
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `kubectl` on PATH that runs what comes after `--` on this host."""
    script = tmp_path / "bin" / "kubectl"
    script.parent.mkdir()
    script.write_text(STAND_IN)
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    return script


def test_a_command_runs_in_its_folder_with_its_environment_and_nothing_is_read_by_a_shell(
    stand_in: Path, tmp_path: Path
) -> None:
    (tmp_path / "work").mkdir()
    words = kubectl.execute(
        PLACE, ["sh", "-c", 'pwd; echo "$A|$1"', "x", "$(id); `id`"], cwd=str(tmp_path / "work"), env={"A": "; id 'b"}
    )
    said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=30).stdout
    assert said.splitlines() == [str(tmp_path / "work"), "; id 'b|$(id); `id`"]


def test_an_exit_code_is_the_command_s(stand_in: Path, tmp_path: Path) -> None:
    words = kubectl.execute(PLACE, ["sh", "-c", "exit 42"], cwd=str(tmp_path), env={})
    assert subprocess.run(words, check=False, timeout=30).returncode == 42


def test_the_container_is_named_and_without_a_terminal_none_is_asked_for(stand_in: Path) -> None:
    words = kubectl.execute(PLACE, ["true"], cwd="/", env={})
    assert words[: words.index("--")] == [
        *(str(stand_in), "exec", "--stdin"),
        *("--namespace", "lab", "web-1", "--container", "web"),
    ]


def test_what_bears_the_mark_is_ended_and_nothing_else(stand_in: Path) -> None:
    with (
        subprocess.Popen(["sleep", "60"], env={"LABCTL_EXEC": "a-mark-of-this-test"}) as marked,
        subprocess.Popen(["sleep", "60"], env={"LABCTL_EXEC": "another"}) as other,
    ):
        try:
            words = kubectl.end_marked(PLACE, "LABCTL_EXEC=a-mark-of-this-test")
            subprocess.run(words, env={"PATH": os.environ["PATH"]}, check=False, timeout=60)
            assert marked.wait(timeout=10) == -15
            assert other.poll() is None
        finally:
            marked.kill()
            other.kill()


def test_kubectl_speaks_to_the_cluster_that_we_speak_to_and_hears_nothing_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LABCTL_DATABASE_URL", "secret")
    monkeypatch.setenv("AWS_PROFILE", "for-a-login-plugin")
    found = kubectl.environment("/a/kubeconfig")
    assert found["KUBECONFIG"] == "/a/kubeconfig"
    assert found["AWS_PROFILE"] == "for-a-login-plugin"
    assert not [name for name in found if name.startswith("LABCTL_")]


def test_without_kubectl_it_says_where_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PreflightError, match="no `kubectl` command") as caught:
        kubectl.delete_pod("lab", "web-1")
    assert "kubernetes.io/docs/tasks/tools" in (caught.value.hint or "")
