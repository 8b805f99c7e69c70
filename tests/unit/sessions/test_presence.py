"""Who is at work in a session, seen through real processes and a real terminal."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from labctl.sessions.presence import last_active, present, touch

NOW = datetime(2036, 1, 2, 3, 4, 5, tzinfo=UTC)
ID = "small-lab--ada"
STAY = """
import sys
from pathlib import Path
from labctl.sessions.presence import present
with present(Path(sys.argv[1]), sys.argv[2], sys.argv[3]):
    print("here", flush=True)
    sys.stdin.read()
"""


def begin(home: Path, kind: str, stdin: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    """A process that is present until its input ends."""
    command = [sys.executable, "-c", STAY, str(home), ID, kind]
    process = subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n"
    return process


def at(file: Path, time: datetime) -> None:
    os.utime(file, (time.timestamp(), time.timestamp()))


def folder(home: Path) -> Path:
    return home / "sessions" / ID / "present"


def test_nothing_is_known_of_a_session_that_nobody_touched(tmp_path: Path) -> None:
    assert last_active(tmp_path, ID, NOW) is None


def test_a_touch_is_remembered_and_never_lies_in_the_future(tmp_path: Path) -> None:
    earlier = NOW - timedelta(minutes=3)
    touch(tmp_path, ID, earlier)
    assert last_active(tmp_path, ID, NOW) == earlier
    assert last_active(tmp_path, ID, earlier - timedelta(hours=1)) == earlier - timedelta(hours=1)
    touch(tmp_path, ID)
    assert last_active(tmp_path, ID, NOW) != earlier


def test_a_command_counts_as_long_as_it_runs(tmp_path: Path) -> None:
    process = begin(tmp_path, "exec")
    assert last_active(tmp_path, ID, NOW) == NOW
    process.communicate()
    last = last_active(tmp_path, ID, NOW)
    assert last is not None
    assert last < NOW
    assert [file.name for file in folder(tmp_path).iterdir()] == ["last"]


def test_a_command_that_was_killed_counts_no_more(tmp_path: Path) -> None:
    process = begin(tmp_path, "run")
    process.kill()
    process.communicate()
    assert last_active(tmp_path, ID, NOW) is None
    assert list(folder(tmp_path).iterdir()) == []


def test_two_who_look_at_once_do_not_take_each_other_for_the_learner(tmp_path: Path) -> None:
    process = begin(tmp_path, "run")
    process.kill()
    process.communicate()
    (file,) = folder(tmp_path).iterdir()
    with file.open() as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        assert last_active(tmp_path, ID, NOW) is None


def test_a_shell_counts_by_what_is_typed_in_it(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    process = begin(tmp_path, "shell", stdin=theirs)
    (file,) = folder(tmp_path).glob("*.json")
    opened, typed = NOW - timedelta(hours=5), NOW - timedelta(minutes=2)
    at(file, opened)
    at(Path(os.ttyname(theirs)), opened - timedelta(hours=1))
    assert last_active(tmp_path, ID, NOW) == opened
    at(Path(os.ttyname(theirs)), typed)
    assert last_active(tmp_path, ID, NOW) == typed
    process.kill()
    process.communicate()
    for descriptor in (ours, theirs):
        os.close(descriptor)


def test_a_command_on_a_terminal_counts_by_what_is_typed_in_it(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    process = begin(tmp_path, "exec", stdin=theirs)
    (file,) = folder(tmp_path).glob("*.json")
    for place in (file, Path(os.ttyname(theirs))):
        at(place, NOW - timedelta(hours=5))
    assert last_active(tmp_path, ID, NOW) == NOW - timedelta(hours=5)
    process.kill()
    process.communicate()
    for descriptor in (ours, theirs):
        os.close(descriptor)


def test_a_run_on_a_terminal_counts_as_long_as_it_lasts(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    process = begin(tmp_path, "run", stdin=theirs)
    assert last_active(tmp_path, ID, NOW) == NOW
    process.kill()
    process.communicate()
    for descriptor in (ours, theirs):
        os.close(descriptor)


@pytest.mark.parametrize(
    "written",
    [
        *(b"", b"{", b"[]", b"5", b'"shell"', b"\xff\xfe", b"[" * 100_000, b"{}"),
        *(b'{"kind": 5}', b'{"kind": ["exec"], "tty": null}', b'{"kind": "sleep"}'),
        b'{"kind": "run", "more": "' + b"x" * 1_000_000 + b'"}',
    ],
)
def test_what_is_no_presence_says_nothing(tmp_path: Path, written: bytes) -> None:
    touch(tmp_path, ID, NOW - timedelta(hours=1))
    file = folder(tmp_path) / "1.json"
    file.write_bytes(written)
    with file.open() as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert last_active(tmp_path, ID, NOW) == NOW - timedelta(hours=1)


@pytest.mark.parametrize("tty", ["5", '["/dev/tty"]', '"/nowhere"', '"\\u0000"', '"' + "x" * 3000 + '"', "{}", "true"])
def test_a_terminal_that_is_none_has_had_no_input(tmp_path: Path, tty: str) -> None:
    touch(tmp_path, ID, NOW - timedelta(hours=2))
    file = folder(tmp_path) / "1.json"
    file.write_text(f'{{"kind": "shell", "tty": {tty}}}')
    at(file, NOW - timedelta(hours=1))
    with file.open() as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert last_active(tmp_path, ID, NOW) == NOW - timedelta(hours=1)


def test_what_is_no_file_hinders_nobody(tmp_path: Path) -> None:
    touch(tmp_path, ID, NOW - timedelta(hours=1))
    os.mkfifo(folder(tmp_path) / "1.json")
    (folder(tmp_path) / "2.json").mkdir()
    (folder(tmp_path) / "3.json").symlink_to("/dev/zero")
    assert last_active(tmp_path, ID, NOW) == NOW - timedelta(hours=1)


def test_a_home_that_cannot_be_written_hinders_nobody(tmp_path: Path) -> None:
    (tmp_path / "sessions").write_text("in the way")
    with present(tmp_path, ID, "exec"):
        assert last_active(tmp_path, ID, NOW) is None
