"""What runs leave on record, and who may prepare at the same time."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from labctl.errors import PreflightError
from labctl.hosts import ansible, remains, runs
from labctl.hosts.request import Request
from labctl.hosts.seen import State
from tests.unit.hosts.test_events import EVENTS

REQUEST = Request(playbook=Path("/p"), inventory=("a,",))
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def test_a_run_is_read_back_with_what_its_events_say(tmp_path: Path) -> None:
    with runs.recorded(tmp_path, "prepare", REQUEST, NOON) as run:
        place = run.artifacts / "job_events"
        place.mkdir(parents=True)
        for number, event in enumerate(EVENTS, start=1):
            (place / f"{number}-x.json").write_text(json.dumps(event))
        runs.ended(run, "failed")
    read = runs.latest(tmp_path, "prepare")
    assert read is not None
    assert (read.id, read.status, read.request) == (run.id, "failed", REQUEST)
    assert read.seen(()).named(State.FAILED) == ("two",)


def test_two_runs_of_one_second_have_two_folders(tmp_path: Path) -> None:
    with runs.recorded(tmp_path, "check", REQUEST, NOON) as one, runs.recorded(tmp_path, "check", REQUEST, NOON) as two:
        assert one.folder != two.folder


def test_only_a_run_that_nobody_goes_on_with_counts_as_killed(tmp_path: Path) -> None:
    with runs.recorded(tmp_path, "check", REQUEST, NOON) as run:
        assert list(runs.killed(tmp_path)) == []
    assert [each.id for each in runs.killed(tmp_path)] == [run.id]
    assert remains.clear(tmp_path) == (run.id,)
    assert list(runs.killed(tmp_path)) == []


def test_the_last_runs_are_kept_and_the_one_that_may_be_resumed(tmp_path: Path) -> None:
    with runs.recorded(tmp_path, "prepare", REQUEST, NOON) as prepared:
        pass
    for minute in range(1, runs.KEPT + 5):
        with runs.recorded(tmp_path, "check", REQUEST, NOON + timedelta(minutes=minute)):
            pass
    assert len(list(runs.every(tmp_path))) == runs.KEPT + 1
    last = runs.latest(tmp_path, "prepare")
    assert last is not None
    assert last.id == prepared.id


def test_hosts_of_one_inventory_are_prepared_by_one_at_a_time(tmp_path: Path) -> None:
    other = Request(playbook=Path("/p"), inventory=("b,",))
    with runs.alone(tmp_path, REQUEST):
        with runs.alone(tmp_path, other):
            pass
        with (
            pytest.raises(PreflightError, match="another labctl is preparing hosts of a,"),
            runs.alone(tmp_path, REQUEST),
        ):
            pass
    with runs.alone(tmp_path, REQUEST):
        pass


def test_a_damaged_record_is_left_out(tmp_path: Path) -> None:
    with runs.recorded(tmp_path, "check", REQUEST, NOON) as run:
        pass
    (run.folder / "run.json").write_text('{"verb": "check"')
    assert list(runs.every(tmp_path)) == []


def test_only_ansible_is_ended_of_what_bears_the_mark() -> None:
    program = [sys.executable, "-c", "input()"]
    env = {remains.MARK: "/a/run/of/this/test"}
    ended, left = (
        subprocess.Popen([*program, name], env=env, stdin=subprocess.PIPE) for name in ("ansible-playbook", "dockerd")
    )
    try:
        remains.end("/a/run/of/this/test")
        assert ended.wait(10) == -9
        assert left.poll() is None
    finally:
        for process in (ended, left):
            process.kill()
            process.communicate()


def test_without_ansible_one_sentence_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(PreflightError) as caught:
        ansible.require()
    assert "ansible-playbook is not installed beside labctl" in caught.value.what
    assert "pip install 'labctl[hosts]'" in caught.value.hint
