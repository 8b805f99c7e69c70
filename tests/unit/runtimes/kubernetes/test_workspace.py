"""A claimed workspace: the program that a pod would run, run as a process of its own over a folder with real files in it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO

import pytest

from labctl import packing, tree
from labctl.errors import EngineError, NotFoundError, PreflightError
from labctl.packing import Refused
from labctl.runtimes.kubernetes.workspace import ClaimedWorkspace, Execute
from labctl.sessions import workspace as workspaces

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Pods:
    """Processes in the place of pods: how many were made, and whether what they are told comes through."""

    def __init__(self) -> None:
        self.made = 0
        self.cut: int | None = None
        self.python = sys.executable

    @contextmanager
    def reach(self) -> Iterator[Execute]:
        self.made += 1
        yield self.execute

    def execute(self, command: Sequence[str], stdin: IO[bytes], size: int, stdout: IO[bytes]) -> tuple[int, str]:
        told = stdin.read(size)[: self.cut]
        assert command[0] == "python3"
        done = subprocess.run(
            [self.python, *command[1:]], input=told, capture_output=True, check=False, timeout=60, env={}, cwd="/"
        )
        stdout.write(done.stdout)
        return done.returncode, done.stderr.decode()


@pytest.fixture
def pods() -> Pods:
    return Pods()


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """The claim, with the learner's files."""
    (tmp_path / "volume" / "files" / "src").mkdir(parents=True)
    files = tmp_path / "volume" / "files"
    (files / ".labctl").write_text("lab--ada\n")
    (files / "readme.txt").write_text("mine")
    (files / "src" / "app.py").write_text("print()")
    (files / "out").symlink_to("/etc")
    return tmp_path / "volume"


@pytest.fixture
def place(pods: Pods, volume: Path) -> ClaimedWorkspace:
    return ClaimedWorkspace(
        "lab--ada",
        "lab--ada-0123",
        reach=pods.reach,
        is_there=volume.exists,
        delete=lambda: None,
        root=str(volume),
    )


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    (tmp_path / "lab" / "workspace" / "src").mkdir(parents=True)
    (tmp_path / "lab" / "README.md").write_text("read me")
    (tmp_path / "lab" / "workspace" / "readme.txt").write_text("start here")
    (tmp_path / "lab" / "workspace" / "src" / "run.sh").write_text("#!/bin/sh")
    (tmp_path / "lab" / "workspace" / "src" / "run.sh").chmod(0o755)
    return tmp_path / "lab"


def contents(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_reset_keeps_a_dated_copy_beside_the_files_and_the_folder_itself(
    place: ClaimedWorkspace, volume: Path, lab: Path, pods: Pods
) -> None:
    folder, before = (volume / "files").stat().st_ino, contents(volume / "files")
    with place.held():
        copy = place.keep_copy(NOW)
        workspaces.restore(lab, place, [])
    assert copy == ".copies/2026-01-02-030405 in volume `workspace` of namespace lab--ada-0123"
    assert contents(volume / "copies/2026-01-02-030405") == before
    assert (volume / "copies/2026-01-02-030405/out").readlink() == Path("/etc")
    starter = {"README.md": "read me", "readme.txt": "start here", "src/run.sh": "#!/bin/sh"}
    assert contents(volume / "files") == {".labctl": "lab--ada\n", **starter}
    assert os.access(volume / "files/src/run.sh", os.X_OK)
    assert (volume / "files").stat().st_ino == folder
    assert sorted(path.name for path in volume.iterdir()) == ["copies", "files"]
    assert pods.made == 1


def test_two_copies_of_one_second_both_stay(place: ClaimedWorkspace, volume: Path) -> None:
    assert place.keep_copy(NOW) != place.keep_copy(NOW)
    assert sorted(path.name for path in (volume / "copies").iterdir()) == ["2026-01-02-030405", "2026-01-02-030405-2"]


def test_a_folder_that_cannot_be_copied_leaves_no_half_of_it(place: ClaimedWorkspace, volume: Path) -> None:
    deep = volume / "files"
    for _ in range(tree.MAX_DEPTH + 2):
        deep /= "d"
    deep.mkdir(parents=True)
    with pytest.raises(PreflightError, match="lab--ada-0123: "):
        place.keep_copy(NOW)
    assert list((volume / "copies").iterdir()) == []


def test_some_files_are_put_back_and_the_rest_stays(place: ClaimedWorkspace, volume: Path, lab: Path) -> None:
    (volume / "files/readme.txt").unlink()
    (volume / "files/readme.txt").symlink_to("/etc/hostname")
    assert workspaces.restore(lab, place, ["readme.txt"]) == ["readme.txt"]
    assert not (volume / "files/readme.txt").is_symlink()
    assert contents(volume / "files")["readme.txt"] == "start here"
    assert (volume / "files/src/app.py").exists()


def test_files_are_not_put_through_a_link(place: ClaimedWorkspace, volume: Path, lab: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (volume / "files/src/app.py").unlink()
    (volume / "files/src").rmdir()
    (volume / "files/src").symlink_to(tmp_path / "precious")
    workspaces.overlay(lab / "workspace", place, frozenset())
    assert list((tmp_path / "precious").iterdir()) == []
    assert contents(volume / "files")["src/run.sh"] == "#!/bin/sh"


def test_the_state_changes_with_every_file(place: ClaimedWorkspace, volume: Path) -> None:
    first = place.state()
    assert place.state() == first
    (volume / "files/src/app.py").write_text("print(2)")
    assert place.state() != first


def test_files_go_in_and_come_out(place: ClaimedWorkspace, volume: Path, tmp_path: Path) -> None:
    big = os.urandom(5_000_000)
    (tmp_path / "big.bin").write_bytes(big)
    stream = io.BytesIO()
    with tree.opened(tmp_path) as folder:
        packing.pack(folder, PurePosixPath("big.bin"), stream)
    assert place.unpack(stream, "src", "big.bin", force=False) == PurePosixPath("src/big.bin")
    assert (volume / "files/src/big.bin").read_bytes() == big
    out = io.BytesIO()
    assert place.pack(PurePosixPath(), out) == ["out"]
    assert big in out.getvalue()
    assert b"lab--ada\n" not in out.getvalue()


def test_copies_can_be_had_too(place: ClaimedWorkspace, volume: Path) -> None:
    place.keep_copy(NOW)
    out = io.BytesIO()
    place.pack(PurePosixPath(".copies/2026-01-02-030405/src/app.py"), out)
    assert b"print()" in out.getvalue()


def test_what_is_refused_there_is_refused_here(place: ClaimedWorkspace, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="out is a link, which is not followed"):
        place.pack(PurePosixPath("out/passwd"), io.BytesIO())
    with pytest.raises(Refused) as refused:
        place.pack(PurePosixPath("nothing"), io.BytesIO())
    assert refused.value.why == packing.MISSING


@pytest.mark.parametrize("arrived", [-20_000, 0, 700, 1_536, 2_600])
def test_what_arrives_in_part_changes_nothing(
    place: ClaimedWorkspace, volume: Path, lab: Path, pods: Pods, arrived: int
) -> None:
    before = contents(volume)
    whole = io.BytesIO()
    packing.pack_files(workspaces.starter(lab), whole)
    pods.cut = arrived - len(whole.getvalue())
    with pytest.raises((Refused, EngineError)):
        workspaces.restore(lab, place, [])
    assert contents(volume) == before


def test_a_volume_without_a_workspace_is_told(place: ClaimedWorkspace, volume: Path) -> None:
    (volume / "files").rename(volume / "gone")
    with pytest.raises(NotFoundError, match="holds no workspace"):
        place.keep_copy(NOW)


def test_an_image_without_python_is_told(place: ClaimedWorkspace, pods: Pods) -> None:
    pods.python = "/bin/false"
    with pytest.raises(EngineError, match="python3 in the lab's image ended with 1"):
        place.state()
