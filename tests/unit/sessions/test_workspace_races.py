"""While labctl works on a workspace, a process of the learner's swaps its folders for links that lead out: nothing out there changes.

Run as root these tests show most, because root may write, and give away, anything.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pytest

from labctl import packing, tree
from labctl.errors import PreflightError
from labctl.sessions import workspace as workspaces
from labctl.sessions.host_folder import HostFolder

ROUNDS = 200
WITHIN_S = 60.0
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SESSION = "lab--ada"

# In turn `data` is a folder and a link, by renameat2 where the system has it: then there is no moment without either.
SWAPPER = """
import ctypes, os, sys
from contextlib import suppress
place, victim = sys.argv[1:]
exchange = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
print("swapping", flush=True)
while os.getppid() != 1:
    with suppress(OSError):
        os.chdir(place)
        break
while os.getppid() != 1:
    for make in (lambda: os.mkdir("fresh"), lambda: os.mkdir("fresh/deep"), lambda: os.symlink(victim, "link"),
                 lambda: open("fresh/deep/mine.txt", "w").close(), lambda: os.rename("fresh", "data")):
        with suppress(OSError):
            make()
    for _ in range(40):
        if exchange:
            exchange(-100, b"data", -100, b"link", 2)
        with suppress(OSError):
            os.rename("data", "aside")
            os.rename("link", "data")
        with suppress(OSError):
            os.rename("data", "link")
            os.rename("aside", "data")
    if not os.path.lexists(place):
        os.makedirs(place, exist_ok=True)
    with suppress(OSError):
        os.chdir(place)
"""


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A lab whose starter has files in the folder that is swapped."""
    for name in ("readme.txt", "data/readme.txt", "data/deep/starter.txt", "data/deep/er/starter.txt"):
        file = tmp_path / "lab" / "workspace" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("the starter's\n")
    return tmp_path / "lab"


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """Something outside of the workspace, with the names that are looked for inside; part of it read-only."""
    for name in ("readme.txt", "deep/precious.txt", "deep/starter.txt", "deep/er/locked.txt"):
        file = tmp_path / "victim" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("precious\n")
    (tmp_path / "victim" / "deep" / "er").chmod(0o500)
    return tmp_path / "victim"


@pytest.fixture
def workspace(tmp_path: Path, lab: Path) -> Path:
    place = tmp_path / "work" / "lab"
    HostFolder(place, SESSION).make(workspaces.starter(lab))
    if os.geteuid() == 0:
        os.chown(place, 4321, 4321)
    return place


@pytest.fixture
def swapper(workspace: Path, victim: Path) -> Iterator[None]:
    with subprocess.Popen(
        [sys.executable, "-c", SWAPPER, str(workspace), str(victim)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"swapping\n"
        try:
            yield
        finally:
            process.kill()


def state(folder: Path) -> dict[str, object]:
    """Everything that could have been done to a folder: names, contents, modes, owners, times of change."""
    found: dict[str, object] = {}
    for path in (folder, *sorted(folder.rglob("*"))):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else None
        found[str(path)] = (status.st_ino, status.st_mode, status.st_uid, status.st_ctime_ns, content)
    return found


def race(action: Callable[[], object]) -> int:
    """Do it again and again; how often it was done. What a learner spoils for themselves may fail."""
    done, until = 0, time.monotonic() + WITHIN_S
    for _ in range(ROUNDS):
        with suppress(OSError, PreflightError):
            action()
            done += 1
        if time.monotonic() > until:
            break
    return done


@pytest.mark.usefixtures("swapper")
@pytest.mark.parametrize("files", [[], ["data/readme.txt"], ["data/deep/er/starter.txt"]])
def test_restore_stays_inside(lab: Path, workspace: Path, victim: Path, files: list[str]) -> None:
    before = state(victim)
    assert race(lambda: workspaces.restore(lab, HostFolder(workspace, SESSION), files)) > 0
    assert state(victim) == before


@pytest.mark.usefixtures("swapper")
def test_overlay_stays_inside(lab: Path, workspace: Path, victim: Path) -> None:
    before = state(victim)
    assert race(lambda: workspaces.overlay(lab / "workspace", HostFolder(workspace, SESSION), frozenset())) > 0
    assert state(victim) == before


@pytest.mark.usefixtures("swapper")
def test_a_copy_has_nothing_from_outside(workspace: Path, victim: Path) -> None:
    before = state(victim)

    def keep() -> None:
        copy = Path(HostFolder(workspace, SESSION).keep_copy(NOW))
        assert not any(b"precious" in file.read_bytes() for file in _files(copy))
        with tree.opened(copy.parent) as folder:
            tree.remove(folder, copy.name)

    assert race(keep) > 0
    assert state(victim) == before
    assert list(workspace.parent.iterdir()) == [workspace]


@pytest.mark.usefixtures("swapper")
@pytest.mark.parametrize("name", ["", "data", "data/deep"])
def test_what_is_packed_has_nothing_from_outside(workspace: Path, victim: Path, name: str) -> None:
    before = state(victim)

    def pack() -> None:
        stream = io.BytesIO()
        with suppress(packing.Refused):
            HostFolder(workspace, SESSION).pack(PurePosixPath(name), stream)
        assert b"precious" not in stream.getvalue()

    assert race(pack) > 0
    assert state(victim) == before


@pytest.mark.usefixtures("swapper")
@pytest.mark.parametrize("into", ["data", "data/deep/starter.txt", "data/deep/new.txt"])
def test_what_is_unpacked_stays_inside(lab: Path, workspace: Path, victim: Path, into: str) -> None:
    before, stream = state(victim), io.BytesIO()
    with tree.opened(lab / "workspace") as root:
        packing.pack(root, PurePosixPath("readme.txt"), stream)

    def unpack() -> None:
        stream.seek(0)
        with suppress(packing.Refused):
            HostFolder(workspace, SESSION).unpack(stream, into, "readme.txt", force=True)

    assert race(unpack) > 0
    assert state(victim) == before


@pytest.mark.usefixtures("swapper")
def test_purge_stays_inside(lab: Path, workspace: Path, victim: Path) -> None:
    before = state(victim)

    def again() -> None:
        with tree.opened(workspace.parent) as folder:
            tree.remove(folder, workspace.name)
        with suppress(PreflightError):
            HostFolder(workspace, SESSION).make(workspaces.starter(lab))

    assert race(again) > 0
    assert state(victim) == before


@pytest.mark.usefixtures("swapper")
def test_measuring_stays_inside(workspace: Path, victim: Path) -> None:
    with (victim / "large").open("wb") as large:
        large.write(b"x" * 4_000_000)
    assert race(lambda: tree.size(workspace, 0.2)) == ROUNDS
    assert all(tree.size(workspace, 1.0).bytes < 1_000_000 for _ in range(ROUNDS))


def _files(folder: Path) -> list[Path]:
    """Regular files, links not followed."""
    return [
        Path(root, name) for root, _, names in os.walk(folder) for name in names if not Path(root, name).is_symlink()
    ]
