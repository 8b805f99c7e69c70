"""The checks `file`, `command` and `log`."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from labctl.checks.base import BaseCheck
from labctl.outcomes import Outcome
from labctl.target import CannotLook, RefusedPath
from labctl.testing.target import FakeTarget

CheckOf = Callable[..., BaseCheck]


def python(program: str, **settings: Any) -> dict[str, Any]:
    return {"command": [sys.executable, "-c", program], **settings}


def test_presence_and_absence_are_told_apart(target: FakeTarget, check_of: CheckOf) -> None:
    there, absent = check_of("file", path="out/*.pt"), check_of("file", path="out/*.pt", exists=False)
    assert (there.run(target).outcome, absent.run(target).outcome) == (Outcome.FAIL, Outcome.PASS)
    (target.folder / "out").mkdir()
    (target.folder / "out/a.pt").touch()
    assert (there.run(target).outcome, absent.run(target).outcome) == (Outcome.PASS, Outcome.FAIL)


def test_every_match_of_a_glob_must_be_as_wanted(target: FakeTarget, check_of: CheckOf) -> None:
    for name, text in (("a.txt", "good work"), ("b.txt", "bad")):
        (target.folder / name).write_text(text)
    result = check_of("file", path="*.txt", text={"contains": "good"}, min_bytes=5, count={"equals": 3}).run(target)
    assert result.outcome is Outcome.FAIL
    assert result.expected == [
        "*.txt: equal to 3 matches",
        "b.txt: at least 5 bytes, not 3",
        "b.txt: text containing 'good'",
    ]


def test_a_file_that_was_to_stay_is_known_by_its_digest(target: FakeTarget, check_of: CheckOf) -> None:
    (target.folder / "data.csv").write_text("a,b\n")
    check = check_of("file", path="data.csv", unchanged=hashlib.sha256(b"a,b\n").hexdigest())
    assert check.run(target).outcome is Outcome.PASS
    (target.folder / "data.csv").write_text("a,b,c\n")
    assert "was changed" in check.run(target).message


def test_a_file_that_is_no_text_fails_where_text_is_wanted(target: FakeTarget, check_of: CheckOf) -> None:
    (target.folder / "notes.md").write_bytes(b"ok \xff")
    result = check_of("file", path="notes.md", text={"contains": "ok"}).run(target)
    assert (result.outcome, result.message) == (Outcome.FAIL, "notes.md is not UTF-8 text: byte 3 is 0xff")


def test_a_file_that_labctl_provided_is_found_by_its_absolute_path(tmp_path: Path, check_of: CheckOf) -> None:
    provided = tmp_path / "models"
    (provided / "tiny").mkdir(parents=True)
    (provided / "tiny/config.json").write_text("{}")
    target = FakeTarget(folder=tmp_path / "w", provided=(provided,))
    assert check_of("file", path=f"{provided}/tiny/config.json", max_bytes=2).run(target).outcome is Outcome.PASS
    assert check_of("file", path=f"{provided}/tiny").run(target).outcome is Outcome.PASS
    assert check_of("file", path=f"{provided}/none").run(target).outcome is Outcome.FAIL


def test_a_path_out_of_the_workspace_is_refused(target: FakeTarget, check_of: CheckOf) -> None:
    with pytest.raises(RefusedPath):
        check_of("file", path="/etc/passwd", text={"contains": "root"}).run(target)


def test_a_link_out_of_the_workspace_is_no_file(target: FakeTarget, check_of: CheckOf) -> None:
    (target.folder / "link").symlink_to("/etc/passwd")
    result = check_of("file", path="link", text={"contains": "root"}).run(target)
    assert (result.outcome, result.message) == (Outcome.FAIL, "link is no file of the workspace")


def test_a_command_is_judged_by_its_exit_code_and_output(target: FakeTarget, check_of: CheckOf) -> None:
    settings = python(
        "import os,sys; print(os.environ['A'] + sys.stdin.read()); sys.exit(3)", env={"A": "x"}, stdin="y"
    )
    good = check_of("command", **settings, exit_code=[0, 3], stdout={"contains": "xy"}, stderr={"max_length": 0})
    assert good.run(target).outcome is Outcome.PASS
    result = check_of("command", **settings, stdout={"contains": "z"}).run(target)
    assert (result.outcome, result.actual["exit_code"]) == (Outcome.FAIL, 3)
    assert result.expected == ["exit code 0", "output containing 'z'"]


def test_a_program_that_does_not_exist_fails_with_127(target: FakeTarget, check_of: CheckOf) -> None:
    result = check_of("command", command=["no-such-program"]).run(target)
    assert (result.outcome, result.actual["exit_code"]) == (Outcome.FAIL, 127)


def test_a_hanging_command_is_ended_with_all_it_started(target: FakeTarget, check_of: CheckOf) -> None:
    program = (
        "import os, pathlib, signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "away = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
        "pathlib.Path('pids').write_text(f'{os.getpid()} {away.pid}')\n"
        "time.sleep(600)\n"
    )
    result = check_of("command", **python(program), timeout="5s").run(target)
    assert (result.outcome, "still running after 5s" in result.message) == (Outcome.FAIL, True)
    pids = [int(pid) for pid in (target.folder / "pids").read_text().split()]
    assert not [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


def test_output_of_100_mb_is_cut_and_neither_blocks_nor_fills_memory(target: FakeTarget, check_of: CheckOf) -> None:
    program = "import sys\nfor _ in range(100): sys.stdout.write('x' * (1 << 20))"
    before = psutil.Process().memory_info().rss
    result = check_of("command", **python(program), stdout={"max_length": 1 << 20}).run(target)
    assert (result.outcome, result.actual["truncated"]) == (Outcome.PASS, True)
    assert psutil.Process().memory_info().rss - before < 50 * (1 << 20)


def test_binary_output_is_decoded_with_marks(target: FakeTarget, check_of: CheckOf) -> None:
    program = "import sys; sys.stdout.buffer.write(b'ok \\xff\\x00')"
    result = check_of("command", **python(program), stdout={"contains": "ok \ufffd"}).run(target)
    assert (result.outcome, result.actual["stdout"]) == (Outcome.PASS, "ok \ufffd␀")


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import sys; print('12 of 40'); sys.exit('there is no out/full yet\\n')", "there is no out/full yet"),
        ("print('first'); print('12 of 40\\n'); raise SystemExit(1)", "12 of 40"),
        ("{}['loss']", "KeyError: 'loss'"),
    ],
)
def test_a_command_that_fails_says_why_in_its_last_line(
    target: FakeTarget, check_of: CheckOf, program: str, message: str
) -> None:
    result = check_of("command", **python(program)).run(target)
    assert result.message.endswith(f" ended with 1; wanted exit code 0: {message}")


def test_lines_of_a_log_are_counted(tmp_path: Path, check_of: CheckOf) -> None:
    log = "start\nINFO POST /predict 200\nINFO POST /predict 422\n"
    target = FakeTarget(folder=tmp_path, service_logs={"api": log})
    assert (
        check_of("log", service="api", line=r"POST /predict \d+", count={"equals": 2}).run(target).outcome
        is Outcome.PASS
    )
    assert check_of("log", service="api", line="POST").run(target).outcome is Outcome.PASS
    result = check_of("log", service="api", line="DELETE", text={"excludes": "start"}).run(target)
    assert result.expected == ["a log without 'start'", "lines matching /DELETE/ >= 1, not 0"]
    with pytest.raises(CannotLook):
        check_of("log", service="vllm", line="a").run(target)


def test_a_line_that_is_made_to_be_compared_for_ever_fails(tmp_path: Path, check_of: CheckOf) -> None:
    target = FakeTarget(folder=tmp_path, service_logs={"api": "\n".join(["a" * 100 + "b"] * 100)})
    result = check_of("log", service="api", line=r"^(a|aa)+$").run(target)
    assert (result.outcome, "took too long to compare" in result.message) == (Outcome.FAIL, True)
