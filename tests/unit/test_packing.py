"""What is carried as a stream between two folders: whole or not at all, and nothing through a link."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from labctl import packing, tree, unpacking
from labctl.packing import Refused

Carry = Callable[..., PurePosixPath]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name, mode in (("report.json", 0o640), ("out/run.sh", 0o755), ("out/deep/data.bin", 0o600)):
        file = tmp_path / "source" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"content of {name}\n")
        file.chmod(mode)
    return tmp_path / "source"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


def packed(folder: Path, name: str) -> tuple[io.BytesIO, list[str]]:
    stream = io.BytesIO()
    with tree.opened(folder) as root:
        left_out = packing.pack(root, PurePosixPath(name), stream)
    stream.seek(0)
    return stream, left_out


def unpacked(stream: io.BytesIO, folder: Path, into: str, base: str = "base", *, force: bool = False) -> str:
    with tree.opened(folder) as root:
        return str(unpacking.unpack(stream, root, into, base, force=force))


def carry(source: Path, name: str, target: Path, into: str, *, force: bool = False) -> str:
    return unpacked(packed(source, name)[0], target, into, PurePosixPath(name).name, force=force)


def contents(folder: Path) -> dict[str, str | None]:
    """Every file with what is in it; None for a folder."""
    found = sorted(path for path in folder.rglob("*"))
    return {str(path.relative_to(folder)): path.read_text() if path.is_file() else None for path in found}


def test_a_folder_arrives_with_contents_modes_and_times(source: Path, target: Path) -> None:
    os.utime(source / "out/run.sh", (1_000_000, 1_000_000))
    assert carry(source, "out", target, "") == "out"
    assert contents(target / "out") == contents(source / "out")
    assert stat.S_IMODE((target / "out/run.sh").stat().st_mode) == 0o755
    assert (target / "out/run.sh").stat().st_mtime == 1_000_000


def test_a_file_goes_into_a_folder_or_gets_the_name(source: Path, target: Path) -> None:
    (target / "kept").mkdir()
    assert carry(source, "report.json", target, "kept") == "kept/report.json"
    assert carry(source, "report.json", target, "kept/other.json") == "kept/other.json"
    assert contents(target / "kept") == dict.fromkeys(("report.json", "other.json"), "content of report.json\n")


def test_everything_goes_without_the_mark_of_the_session(source: Path, target: Path) -> None:
    (source / ".labctl").write_text("lab--ada\n")
    stream, _ = packed(source, "")
    assert unpacked(stream, target, "", "lab") == "lab"
    assert set(contents(target / "lab")) == set(contents(source)) - {".labctl"}
    with pytest.raises(Refused, match="labctl's own"):
        unpacked(packed(source, "report.json")[0], target, "", ".labctl")


def test_names_that_are_no_text_and_long_ones_arrive(source: Path, target: Path) -> None:
    names = [os.fsencode(source / "out") + b"/\xff\xfe", os.fsencode(source / "out") + b"/" + b"n" * 250]
    for name in names:
        with open(name, "wb") as file:  # noqa: PTH123 - the name is bytes
            file.write(b"x")
    carry(source, "out", target, "")
    assert {path.name for path in (target / "out").iterdir()} == {path.name for path in (source / "out").iterdir()}


def test_links_and_what_has_no_content_are_left_out_and_told(source: Path, target: Path) -> None:
    (source / "out/link").symlink_to("/etc/passwd")
    os.mkfifo(source / "out/pipe")
    stream, left_out = packed(source, "out")
    assert left_out == ["out/link", "out/pipe"]
    unpacked(stream, target, "", "out")
    assert set(contents(target / "out")) == {"run.sh", "deep", "deep/data.bin"}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("link", "link is a link"),
        ("link/passwd", "link is a link, which is not followed"),
        ("pipe", "no file at all"),
        ("nothing", "there is no nothing"),
        ("nothing/deep", "there is no nothing"),
        ("report.json/deep", "report.json is no folder"),
    ],
)
def test_what_is_no_file_of_the_folder_is_refused(source: Path, name: str, why: str) -> None:
    (source / "link").symlink_to("/etc")
    os.mkfifo(source / "pipe")
    with pytest.raises(Refused, match=why):
        packed(source, name)


def test_a_link_in_the_place_is_never_written_through(source: Path, target: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (target / "link").symlink_to(tmp_path / "precious")
    for into in ("link", "link/report.json"):
        with pytest.raises(Refused, match="link is a link, which is not followed"):
            carry(source, "report.json", target, into, force=True)
    (target / "report.json").symlink_to(tmp_path / "precious" / "report.json")
    carry(source, "report.json", target, "", force=True)
    assert not (target / "report.json").is_symlink()
    assert list((tmp_path / "precious").iterdir()) == []


def test_no_file_is_replaced_unless_forced_and_then_none_is_half(source: Path, target: Path) -> None:
    carry(source, "out", target, "")
    (target / "out/deep/data.bin").write_text("mine")
    (target / "out/own").write_text("mine too")
    (source / "out/a-new-one").write_text("new")
    before = contents(target)
    with pytest.raises(Refused, match=r"out/deep/data\.bin is there already|out/run\.sh is there already"):
        carry(source, "out", target, "")
    assert contents(target) == before
    carry(source, "out", target, "", force=True)
    assert contents(target / "out") == contents(source / "out") | {"own": "mine too"}


def test_a_file_and_a_folder_do_not_take_each_others_place(source: Path, target: Path) -> None:
    (target / "out").write_text("a file")
    (target / "deep" / "report.json").mkdir(parents=True)
    with pytest.raises(Refused, match="out is no folder"):
        carry(source, "out", target, "", force=True)
    with pytest.raises(Refused, match=r"deep/report\.json is a folder"):
        carry(source, "report.json", target, "deep", force=True)
    assert (target / "out").read_text() == "a file"


def test_a_stream_that_breaks_off_leaves_nothing(source: Path, target: Path) -> None:
    (source / "out/large").write_bytes(os.urandom(300_000))
    whole = packed(source, "out")[0].getvalue()
    for cut in (0, 100, 512, 1024, 200_000, len(whole) - 20_480):
        with pytest.raises(Refused, match="broke off"):
            unpacked(io.BytesIO(whole[:cut]), target, "", "out")
        assert list(target.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../evil", tarfile.REGTYPE),
        ("/evil", tarfile.REGTYPE),
        ("it/../../evil", tarfile.REGTYPE),
        ("other", tarfile.REGTYPE),
        ("it/link", tarfile.SYMTYPE),
        ("it/hard", tarfile.LNKTYPE),
        ("it/device", tarfile.CHRTYPE),
    ],
)
def test_a_stream_that_somebody_else_wrote_leads_nowhere(target: Path, name: str, kind: bytes) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as made:
        for each, its in (("it", tarfile.DIRTYPE), (name, kind), ("end", tarfile.REGTYPE)):
            info = tarfile.TarInfo(each)
            info.type, info.linkname = its, "/etc/passwd"
            made.addfile(info)
    stream.seek(0)
    with pytest.raises(Refused, match="no file or folder of it"):
        unpacked(stream, target, "", "out")
    assert list(target.parent.iterdir()) == [target]
    assert list(target.iterdir()) == []


def test_holes_do_not_fill_the_disk(source: Path) -> None:
    with (source / "out/holes").open("wb") as file:
        file.truncate(packing.MAX_BYTES + 1)
    with pytest.raises(Refused, match="more than 8 GiB"):
        packed(source, "out")


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files to another user needs root: run the tests as root")
def test_what_root_unpacks_belongs_to_the_owner_of_the_folder(source: Path, target: Path) -> None:
    os.chown(target, 4321, 8765)
    carry(source, "out", target, "")
    assert {(path.stat().st_uid, path.stat().st_gid) for path in target.rglob("*")} == {(4321, 8765)}
