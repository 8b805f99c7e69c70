"""The check `dvc_state`, on a git repository with files as DVC 3 writes them."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labctl.checks.base import BaseCheck
from labctl.outcomes import CheckResult, Outcome
from labctl.target import CannotLook, RefusedPath
from labctl.testing.target import FakeTarget

CheckOf = Callable[..., BaseCheck]
CSV, DATA = "data/train.csv", b"a,b\n1,2\n"


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def git(target: FakeTarget, *arguments: str) -> None:
    who = ["-c", "user.name=ada", "-c", "user.email=ada@example.org"]
    subprocess.run(["git", *who, *arguments], cwd=target.folder, check=True, capture_output=True)


def stored(target: FakeTarget, store: str, data: bytes, suffix: str = "", name: str = "") -> str:
    """An object of a cache or a remote; its name."""
    name = name or f"{md5(data)}{suffix}"
    place = target.folder / store / "files/md5" / name[:2] / name[2:]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    return name


def added(target: FakeTarget, data: bytes = DATA, *, stores: tuple[str, ...] = ("store", ".dvc/cache")) -> str:
    """What `dvc add`, `dvc push` and a commit leave behind; the md5."""
    (target.folder / "data").mkdir(exist_ok=True)
    (target.folder / ".dvc").mkdir(exist_ok=True)
    (target.folder / ".dvc/config").touch()
    (target.folder / CSV).write_bytes(data)
    record = f"outs:\n- md5: {md5(data)}\n  size: {len(data)}\n  hash: md5\n  path: train.csv\n"
    (target.folder / f"{CSV}.dvc").write_text(record)
    for store in stores:
        stored(target, store, data)
    return md5(data)


@pytest.fixture
def repository(target: FakeTarget) -> FakeTarget:
    git(target, "init", "-q")
    return target


def committed(target: FakeTarget) -> None:
    git(target, "add", f"{CSV}.dvc")
    git(target, "commit", "-qm", "data")


def looked(target: FakeTarget, check_of: CheckOf, **settings: Any) -> CheckResult:
    return check_of("dvc_state", **{"path": CSV, **settings}).run(target)


def test_data_that_is_tracked_pushed_and_versioned_passes(repository: FakeTarget, check_of: CheckOf) -> None:
    old = added(repository)
    committed(repository)
    new = added(repository, b"a,b\n3,4\n", stores=("store",))
    committed(repository)
    result = looked(repository, check_of, pushed_to="store", versions=2, current={"equals": new})
    assert (result.outcome, result.actual["versions"]) == (Outcome.PASS, [new, old]), result.message


def test_data_that_is_not_what_is_recorded_fails(target: FakeTarget, check_of: CheckOf) -> None:
    added(target)
    (target.folder / CSV).write_text("other")
    assert (
        f"has the md5 {md5(b'other')}, but data/train.csv.dvc records {md5(DATA)}" in looked(target, check_of).message
    )
    (target.folder / CSV).unlink()
    assert "`dvc checkout` brings it back" in looked(target, check_of).message
    assert looked(target, check_of, clean=False).outcome is Outcome.PASS


def test_data_that_was_not_pushed_or_broke_fails(target: FakeTarget, check_of: CheckOf) -> None:
    added(target, stores=(".dvc/cache",))
    assert "`dvc push` brings it there" in looked(target, check_of, pushed_to="store").message
    stored(target, "store", b"something else", name=md5(DATA))
    assert "the remote store lacks the object" in looked(target, check_of, pushed_to="store").message


def test_versions_without_their_objects_do_not_count(repository: FakeTarget, check_of: CheckOf) -> None:
    invented = added(repository, b"never stored", stores=())
    committed(repository)
    added(repository)
    committed(repository)
    result = looked(repository, check_of, versions=2)
    assert "has 1 versions of data/train.csv that can be restored; wanted 2" in result.message
    assert f"of the version {invented[:10]}… the object {invented} is nowhere" in result.message


def test_what_was_not_committed_is_no_history(repository: FakeTarget, check_of: CheckOf) -> None:
    added(repository)
    assert "has 0 versions" in looked(repository, check_of, versions=1).message
    assert looked(repository, check_of).outcome is Outcome.PASS


def test_a_workspace_without_git_fails_and_a_session_without_git_is_an_error(
    target: FakeTarget, check_of: CheckOf
) -> None:
    added(target)
    assert "the git history cannot be read" in looked(target, check_of, versions=1).message
    without = FakeTarget(folder=target.folder, environment={"PATH": "/nowhere"})
    with pytest.raises(CannotLook, match="no program `git`"):
        looked(without, check_of, versions=1)


def test_nothing_that_a_repository_configures_is_started(repository: FakeTarget, check_of: CheckOf) -> None:
    added(repository)
    committed(repository)
    for key in ("core.fsmonitor", "core.pager", "core.sshCommand"):
        git(repository, "config", key, f"touch {repository.folder}/started-{key}")
    assert looked(repository, check_of, versions=1).outcome is Outcome.PASS
    assert not list(repository.folder.glob("started-*"))


def folder_added(target: FakeTarget, files: dict[str, bytes], store: str = "store") -> str:
    for name, data in files.items():
        place = target.folder / "images" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        stored(target, store, data)
    entries = [{"md5": md5(files[name]), "relpath": name} for name in sorted(files)]
    name = stored(target, store, json.dumps(entries).encode(), ".dir")
    (target.folder / "images.dvc").write_text(f"outs:\n- md5: {name}\n  hash: md5\n  path: images\n")
    return name


FILES = {"a.txt": b"1", ".hidden": b"2", "sub/z.txt": b"3", "sub-a.txt": b"4"}


def test_a_folder_is_hashed_as_dvc_does(target: FakeTarget, check_of: CheckOf) -> None:
    folder_added(target, FILES)
    assert looked(target, check_of, path="images", pushed_to="store").outcome is Outcome.PASS
    (target.folder / "images/new").touch()
    assert "images has the md5" in looked(target, check_of, path="images").message


@pytest.mark.parametrize("lost", ["a.txt", ""], ids=["a file", "the list"])
def test_a_folder_that_is_not_whole_in_the_remote_fails(target: FakeTarget, check_of: CheckOf, lost: str) -> None:
    name = md5(FILES[lost]) if lost else folder_added(target, FILES)
    folder_added(target, FILES)
    (target.folder / "store/files/md5" / name[:2] / name[2:]).unlink()
    assert "the remote store lacks the object" in looked(target, check_of, path="images", pushed_to="store").message


@pytest.mark.parametrize("listed", [b"", b"{}", b"[1]", b'[{"md5": "../../etc"}]', b'[{"md5": 3}]', b"[" * 50_000])
def test_a_broken_list_of_a_folder_fails(target: FakeTarget, check_of: CheckOf, listed: bytes) -> None:
    name = stored(target, "store", listed, ".dir")
    (target.folder / "images.dvc").write_text(f"outs:\n- md5: {name}\n  hash: md5\n  path: images\n")
    result = looked(target, check_of, path="images", pushed_to="store", clean=False)
    assert result.outcome is Outcome.FAIL


def test_an_output_of_a_pipeline_is_found_in_the_lock(target: FakeTarget, check_of: CheckOf) -> None:
    (target.folder / "out").mkdir()
    (target.folder / "out/model.bin").write_bytes(DATA)
    lock = f"schema: '2.0'\nstages:\n  train:\n    cmd: x\n    outs:\n    - path: out/model.bin\n      hash: md5\n      md5: {md5(DATA)}\n"
    (target.folder / "dvc.lock").write_text(lock)
    result = looked(target, check_of, path="out/model.bin")
    assert (result.outcome, result.actual["recorded_in"]) == (Outcome.PASS, "dvc.lock")
    assert "DVC does not track out/other.bin" in looked(target, check_of, path="out/other.bin").message


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"\xff\xfe",
        b"outs",
        b"outs: 3",
        b"outs: [3, null, {path: train.csv}]",
        b"outs: [{path: train.csv, md5: 5, hash: md5}]",
        b"outs: [{path: train.csv, md5: ../../../../etc/passwd, hash: md5}]",
        b"outs: [{path: train.csv, md5: c3c6bc2ae8ece4bd2510dca21225c041}]",  # DVC 2: no hash
        b"outs: [{path: other.csv, md5: c3c6bc2ae8ece4bd2510dca21225c041, hash: md5}]",
        b"a: &a [x]\nouts: [*a, *a]",
        b"outs: !!python/object/apply:os.system [id]",
        b"[" * 10_000,
        b"x" * 300_000,
    ],
)
def test_a_record_that_is_none_fails(target: FakeTarget, check_of: CheckOf, record: bytes) -> None:
    added(target)
    (target.folder / f"{CSV}.dvc").write_bytes(record)
    result = looked(target, check_of, pushed_to="store")
    assert result.outcome is Outcome.FAIL
    assert f"{CSV}.dvc" in result.message


def test_a_record_that_is_a_folder_or_links_out_is_none(target: FakeTarget, check_of: CheckOf, tmp_path: Path) -> None:
    (target.folder / f"{CSV}.dvc").mkdir(parents=True)
    assert looked(target, check_of).outcome is Outcome.FAIL
    (target.folder / f"{CSV}.dvc").rmdir()
    (tmp_path / "outside.dvc").write_text("outs: []")
    (target.folder / f"{CSV}.dvc").symlink_to(tmp_path / "outside.dvc")
    with pytest.raises(RefusedPath):
        looked(target, check_of)
