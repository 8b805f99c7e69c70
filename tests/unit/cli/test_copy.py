"""`labctl cp`: files in and out of a workspace, as somebody types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from labctl.settings import Settings
from labctl.store.records import Session, SessionState
from labctl.store.store import Store

Copy = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def workspace(chosen: Settings, write_lab: Callable[..., Path], home: Path) -> Path:
    """The workspace of a live session of small-lab."""
    folder, place = write_lab(), home / "work" / "small-lab"
    (place / "out").mkdir(parents=True)
    (place / "out" / "report.json").write_text("{}")
    now = datetime.now(UTC)
    session = Session(
        id="small-lab--ada",
        lab="small-lab",
        lab_path=str(folder),
        learner="ada",
        runtime="local",
        profile="cpu",
        state=SessionState.RUNNING,
        workspace=str(place),
        created_at=now,
        expires_at=now + timedelta(hours=8),
    )
    Store(chosen).put(session)
    return place


@pytest.fixture
def cp(workspace: Path, tmp_path: Path) -> Copy:
    """Types it in a folder of its own, `here`."""
    (tmp_path / "here").mkdir()

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "labctl", "cp", *args]
        return subprocess.run(
            command, cwd=tmp_path / "here", env=os.environ, capture_output=True, text=True, check=False, timeout=60
        )

    return run


@pytest.fixture
def here(cp: Copy, tmp_path: Path) -> Path:
    return tmp_path / "here"


def test_a_file_comes_out_and_goes_in(cp: Copy, here: Path, workspace: Path) -> None:
    out = cp("small-lab:out/report.json", ".")
    assert (out.returncode, out.stdout) == (0, "report.json\n")
    assert (here / "report.json").read_text() == "{}"
    (here / "notes.md").write_text("mine")
    assert cp("notes.md", "small-lab:").stdout == "small-lab:notes.md\n"
    assert cp("notes.md", "small-lab--ada:out").stdout == "small-lab--ada:out/notes.md\n"
    assert (workspace / "notes.md").read_text() == (workspace / "out/notes.md").read_text() == "mine"


def test_json_says_where_it_is_and_what_was_left_out(cp: Copy, here: Path, workspace: Path) -> None:
    (workspace / "out" / "li\nnk").symlink_to("/etc/passwd")
    done = json.loads(cp("small-lab:out", "kept", "--json").stdout)
    assert done == {"session": "small-lab--ada", "copy": "kept", "left_out": ["out/li\N{REPLACEMENT CHARACTER}nk"]}
    assert [path.name for path in (here / "kept").iterdir()] == ["report.json"]


def test_a_whole_workspace_comes_out_under_the_labs_name(cp: Copy, here: Path) -> None:
    assert cp("small-lab:", ".").stdout == "small-lab\n"
    assert (here / "small-lab/out/report.json").read_text() == "{}"


def test_what_is_there_is_replaced_only_with_force(cp: Copy, here: Path) -> None:
    (here / "report.json").write_text("mine")
    refused = cp("small-lab:out/report.json", ".")
    assert refused.returncode == 2
    assert refused.stderr == "error: report.json is there already\n hint: --force replaces it\n"
    assert (here / "report.json").read_text() == "mine"
    assert cp("small-lab:out/report.json", ".", "--force").returncode == 0
    assert (here / "report.json").read_text() == "{}"


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        (["a", "b"], 2, "neither 'a' nor 'b' is in a workspace"),
        (["small-lab:a", "small-lab:b"], 2, "both SRC and DST are in a workspace"),
        (["./small-lab:a", "b"], 2, "neither './small-lab:a' nor 'b' is in a workspace"),
        (["small-lab:../../etc/passwd", "."], 2, "'../../etc/passwd' leads out of the workspace"),
        (["small-lab:/etc/passwd", "."], 2, "'/etc/passwd' leads out of the workspace"),
        (["small-lab:link", "."], 2, "link is a link or no file at all"),
        (["small-lab:link/passwd", "."], 2, "link is a link, which is not followed"),
        (["small-lab:nothing", "."], 5, "there is no nothing"),
        (["small-lab:out/report.json", "nowhere/report.json"], 5, "there is no folder nowhere"),
        (["small-lab:out/report.json", "nowhere/"], 5, "there is no folder nowhere"),
        (["/etc/hostname", "small-lab:nowhere/"], 5, "there is no folder nowhere"),
        (["nothing", "small-lab:"], 5, "there is no nothing"),
        (["/etc/hostname", "small-lab:nowhere/hostname"], 5, "there is no nowhere"),
        (["/etc/hostname", "small-lab:link/hostname"], 2, "link is a link, which is not followed"),
        (["/etc/hostname", "small-lab:.labctl"], 2, ".labctl is labctl's own"),
        (["/etc/hostname", "other-lab:"], 5, "no lab named 'other-lab'"),
    ],
)
def test_one_clear_error_each(cp: Copy, workspace: Path, typed: list[str], code: int, said: str) -> None:
    (workspace / "link").symlink_to("/etc")
    result = cp(*typed)
    assert (result.returncode, result.stdout) == (code, "")
    assert result.stderr.startswith(f"error: {said}")
