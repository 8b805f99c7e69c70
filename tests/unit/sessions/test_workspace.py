"""What is made in a workspace, what is kept of it, and what a learner can leave in it to trouble labctl."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from labctl import tree
from labctl.errors import PreflightError, UsageError
from labctl.sessions import workspace as workspaces
from labctl.sessions.host_folder import HostFolder, owner

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SESSION = "lab--ada"
needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="giving files to another user needs root: run the tests as root"
)


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    for name, mode in (("run.sh", 0o755), ("src/app.py", 0o644), ("src/deep/data.txt", 0o640)):
        file = tmp_path / "lab" / "workspace" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"the starter's {name}\n")
        file.chmod(mode)
    return tmp_path / "lab"


@pytest.fixture
def workspace(tmp_path: Path, lab: Path) -> Path:
    place = tmp_path / "work" / "lab"
    assert HostFolder(place, SESSION).make(workspaces.starter(lab))
    return place


def test_a_workspace_has_the_starters_files_with_their_modes(workspace: Path) -> None:
    assert stat.S_IMODE((workspace / "run.sh").stat().st_mode) == 0o755
    assert stat.S_IMODE((workspace / "src/deep/data.txt").stat().st_mode) == 0o640
    assert owner(workspace) == SESSION


@needs_root
def test_what_root_puts_into_a_workspace_belongs_to_its_owner(lab: Path, workspace: Path) -> None:
    for path in (workspace, *workspace.rglob("*")):
        os.chown(path, 4321, 8765)
    (workspace / "run.sh").unlink()
    workspaces.restore(lab, HostFolder(workspace, SESSION), ["run.sh"])
    workspaces.overlay(lab / "workspace", HostFolder(workspace, SESSION), frozenset())
    copy = Path(HostFolder(workspace, SESSION).keep_copy(NOW))
    workspaces.restore(lab, HostFolder(workspace, SESSION), [])
    every = [workspace, *workspace.rglob("*"), copy, *copy.rglob("*")]
    assert len(every) == 14
    assert {(path.lstat().st_uid, path.lstat().st_gid) for path in every} == {(4321, 8765)}


@needs_root
def test_what_root_adds_to_a_learners_own_folder_belongs_to_the_learner(lab: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("years")
    for path in (mine, mine / "thesis.tex"):
        os.chown(path, 4321, 8765)
    HostFolder(mine, SESSION).make(workspaces.starter(lab))
    assert {path.stat().st_uid for path in mine.rglob("*")} == {4321}


def test_a_copy_keeps_links_modes_times_and_holes_and_leaves_out_what_has_no_content(workspace: Path) -> None:
    (workspace / "link").symlink_to("/etc/passwd")
    (workspace / "dangling").symlink_to("nowhere")
    (workspace / "locked").mkdir()
    (workspace / "locked" / "file").write_text("x")
    (workspace / "locked").chmod(0o500)
    with (workspace / "holes").open("wb") as file:
        file.seek(1_000_000_000)
        file.write(b"end")
    os.mkfifo(workspace / "pipe")
    os.utime(workspace / "run.sh", (1_000_000, 1_000_000))
    with closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.bind(str(workspace / "socket"))
        copy = Path(HostFolder(workspace, SESSION).keep_copy(NOW))
    assert (copy / "link").readlink() == Path("/etc/passwd")
    assert (copy / "dangling").readlink() == Path("nowhere")
    assert stat.S_IMODE((copy / "locked").stat().st_mode) == 0o500
    assert (copy / "run.sh").stat().st_mtime == 1_000_000
    assert (copy / "holes").stat().st_size == 1_000_000_003
    assert (copy / "holes").stat().st_blocks < 1000
    assert not {"pipe", "socket"} & {path.name for path in copy.iterdir()}
    assert {path.name for path in copy.iterdir()} >= {"run.sh", "src", ".labctl", "holes"}


def test_a_copy_has_no_setuid_files(workspace: Path) -> None:
    (workspace / "run.sh").chmod(0o6755)
    copy = Path(HostFolder(workspace, SESSION).keep_copy(NOW))
    assert stat.S_IMODE((copy / "run.sh").stat().st_mode) == 0o755


def test_a_pipe_in_the_place_of_the_mark_does_not_block(lab: Path, workspace: Path) -> None:
    (workspace / ".labctl").unlink()
    os.mkfifo(workspace / ".labctl")
    assert owner(workspace) is None
    with pytest.raises(UsageError, match="not made by labctl"):
        HostFolder(workspace, SESSION).check_purge()
    assert HostFolder(workspace, SESSION).make(workspaces.starter(lab))
    assert owner(workspace) == SESSION


def test_the_mark_is_not_written_through_a_link(lab: Path, workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (workspace / ".labctl").unlink()
    (workspace / ".labctl").symlink_to(tmp_path / "precious")
    assert owner(workspace) is None
    HostFolder(workspace, SESSION).make(workspaces.starter(lab))
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (workspace / ".labctl").is_symlink()


def test_a_folder_in_the_place_of_a_starter_file_is_replaced(lab: Path, workspace: Path) -> None:
    (workspace / "run.sh").unlink()
    (workspace / "run.sh" / "deep").mkdir(parents=True)
    (workspace / "run.sh" / "deep" / "file").write_text("x")
    assert workspaces.restore(lab, HostFolder(workspace, SESSION), ["run.sh"]) == ["run.sh"]
    assert (workspace / "run.sh").read_text() == "the starter's run.sh\n"


def test_folders_that_nobody_may_enter_are_reset(lab: Path, workspace: Path) -> None:
    (workspace / "shut" / "deep").mkdir(parents=True)
    (workspace / "shut" / "deep").chmod(0)
    (workspace / "shut").chmod(0)
    workspaces.restore(lab, HostFolder(workspace, SESSION), [])
    assert not (workspace / "shut").exists()


def test_folders_deeper_than_python_can_recurse_are_deleted_but_not_copied(workspace: Path) -> None:
    _nest(workspace, 1500)
    with pytest.raises(PreflightError, match="folders in each other"):
        HostFolder(workspace, SESSION).keep_copy(NOW)
    assert list(workspace.parent.iterdir()) == [workspace]
    assert not tree.size(workspace, 5.0).whole
    HostFolder(workspace, SESSION).purge()
    assert not workspace.exists()


def test_size_counts_what_files_take_once_and_ends_in_time(workspace: Path) -> None:
    with (workspace / "holes").open("wb") as file:
        file.truncate(10**12)
    (workspace / "real").write_bytes(b"x" * 3_000_000)
    (workspace / "same").hardlink_to(workspace / "real")
    (workspace / "out").symlink_to("/usr")
    seen = tree.size(workspace, 10.0)
    assert seen.whole
    assert 3_000_000 <= seen.bytes < 4_000_000
    assert not tree.size(workspace, 0.0).whole
    assert tree.size(workspace / "nothing", 1.0) == tree.Size(bytes=0, whole=True)


def _nest(folder: Path, depth: int) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=descriptor)
        inner = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)
