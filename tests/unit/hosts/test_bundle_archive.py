"""The file of a bundle: the same bytes from the same things, gone on with after a kill, and nothing in it believed."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.errors import LabFileError, PreflightError
from labctl.hosts.bundle import archive
from labctl.hosts.bundle.manifest import MANIFEST, Manifest, Member, ModelEntry

Edit = Callable[[dict[str, bytes]], None]


def manifest(*members: Member) -> Manifest:
    return Manifest(
        labctl="0",
        python="cpython-311",
        platform="linux-x86_64",
        profile="cpu",
        labs=[],
        base_image=None,
        registry=None,
        images=[],
        models=[ModelEntry(name="org/small", kind="hub")],
        members=list(members),
    )


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Path]:
    folder = tmp_path / "sources"
    folder.mkdir()
    contents = {"wheels/a.whl": b"a" * 3000, "models/hub/org/small/w.bin": bytes(range(256)) * 40, "wheels/empty": b""}
    for name, content in contents.items():
        (folder / name.replace("/", "_")).write_bytes(content)
    return {name: folder / name.replace("/", "_") for name in contents}


@pytest.fixture
def bundle(tmp_path: Path, sources: dict[str, Path]) -> Path:
    made = manifest(*(archive.member(name, file) for name, file in sources.items()))
    archive.write(tmp_path / "bundle.tar", made, sources)
    return tmp_path / "bundle.tar"


def rewritten(bundle: Path, edit: Edit) -> Path:
    """The bundle with other members."""
    with tarfile.open(bundle) as tar:
        members = {info.name: (tar.extractfile(info) or io.BytesIO()).read() for info in tar}
    edit(members)
    with tarfile.open(bundle, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return bundle


def check(bundle: Path) -> None:
    with archive.opened(bundle) as found:
        found.check()


def test_the_same_things_make_the_same_bytes(bundle: Path, sources: dict[str, Path]) -> None:
    again = bundle.with_name("again.tar")
    archive.write(again, manifest(*(archive.member(name, file) for name, file in sources.items())), sources)
    assert again.read_bytes() == bundle.read_bytes()
    check(bundle)


def test_tar_and_sha256sum_are_enough_to_check_and_unpack_it(bundle: Path) -> None:
    folder = bundle.with_name("out")
    folder.mkdir()
    subprocess.run(["tar", "-xf", bundle, "-C", folder], check=True)
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=folder, check=True)
    assert (folder / "models/hub/org/small/w.bin").stat().st_size == 256 * 40


@pytest.mark.parametrize("left", [0, 100, 4000, 9000, 12000])
def test_what_a_killed_run_left_is_kept_up_to_its_last_whole_member(
    bundle: Path, sources: dict[str, Path], left: int
) -> None:
    whole = bundle.read_bytes()
    bundle.with_name("bundle.tar.partial").write_bytes(whole[:left])
    made = manifest(*(archive.member(name, file) for name, file in sources.items()))
    kept = archive.write(bundle, made, sources)
    assert bundle.read_bytes() == whole
    assert kept <= left
    assert (kept > 0) == (left > 8000)


def test_a_partial_of_another_bundle_is_begun_anew(bundle: Path, sources: dict[str, Path]) -> None:
    whole = bundle.read_bytes()
    bundle.with_name("bundle.tar.partial").write_bytes(whole.replace(b"cpython-311", b"cpython-399"))
    made = manifest(*(archive.member(name, file) for name, file in sources.items()))
    assert archive.write(bundle, made, sources) == 0
    assert bundle.read_bytes() == whole


def test_a_source_that_changes_meanwhile_is_told(bundle: Path, sources: dict[str, Path]) -> None:
    made = manifest(*(archive.member(name, file) for name, file in sources.items()))
    sources["wheels/a.whl"].write_bytes(b"b" * 3000)
    with pytest.raises(LabFileError, match=r"wheels_a.whl was changed while it was bundled"):
        archive.write(bundle.with_name("other.tar"), made, sources)


def test_a_flipped_byte_is_found(bundle: Path) -> None:
    def flip(members: dict[str, bytes]) -> None:
        members["wheels/a.whl"] = b"a" * 2999 + b"b"

    with pytest.raises(LabFileError, match=r"wheels/a.whl is damaged"):
        check(rewritten(bundle, flip))


def test_what_the_manifest_does_not_name_is_refused(bundle: Path) -> None:
    def smuggle(members: dict[str, bytes]) -> None:
        members["../../etc/cron.d/x"] = b"* * * * * root id"

    with pytest.raises(LabFileError, match=r"its manifest knows nothing"):
        check(rewritten(bundle, smuggle))


@pytest.mark.parametrize("name", ["../out", "/etc/passwd", "a/../../b", "a\nb", "."])
def test_a_manifest_that_leads_out_of_its_folder_is_refused(bundle: Path, name: str) -> None:
    def lead_out(members: dict[str, bytes]) -> None:
        values = json.loads(members[MANIFEST])
        values["members"][0]["name"] = name
        members[MANIFEST] = json.dumps(values).encode()

    with pytest.raises(LabFileError, match=r"members.0.name"):
        check(rewritten(bundle, lead_out))


@pytest.mark.parametrize("bytes_left", [0, 300, 5000, 9000])
def test_a_cut_file_is_no_bundle(bundle: Path, bytes_left: int) -> None:
    bundle.write_bytes(bundle.read_bytes()[:bytes_left])
    with pytest.raises(LabFileError):
        check(bundle)


def test_a_full_disk_is_told_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(PreflightError, match="MiB are needed"):
        archive.room(tmp_path, 2**60)
