"""Whose turn it is to start on a GPU."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.gpus.inventory import Allocation, HeldGpu
from labctl.labs.lab import load_folder
from labctl.plan import Plan
from labctl.planning import declared_layout, plan
from labctl.runtimes.turns import Turns

LAB = """\
title: Services on GPUs
stage: 1
minutes: 5
profiles: {cpu: {}}
services:
  one: {command: [a]}
  two: {command: [a]}
  watch: {command: [a], gpu: false, depends_on: {one: {condition: service_started}}}
  late: {command: [a], depends_on: {watch: {condition: service_started}}}
criteria:
  - {id: one, text: there, points: 1, hint: look, checks: [{file: {path: a}}]}
"""


@pytest.fixture
def turns_of(write_lab: Callable[..., Path], tmp_path: Path) -> Callable[..., Turns]:
    """The turns of another session on these GPUs."""
    lab = load_folder(write_lab(text=LAB))

    def make(*uuids: str) -> Turns:
        held = tuple(HeldGpu(uuid=uuid, name="", memory_mib=None, sharing="timeslice") for uuid in uuids)
        made: Plan = plan(
            lab, learner="ada", profile="cpu", layout=declared_layout(lab), allocation=Allocation(gpus=held)
        )
        return Turns(tmp_path / "home", made)

    return make


TurnsOf = Callable[..., Turns]


def test_services_of_one_session_take_turns(turns_of: TurnsOf) -> None:
    turns = turns_of("GPU-1")
    assert [turns.take("one"), turns.take("two"), turns.take("one")] == ["", "GPU-1", ""]
    turns.give_back("one")
    assert turns.take("two") == ""


def test_sessions_take_turns_on_the_gpus_that_they_share(turns_of: TurnsOf) -> None:
    a, b, c = turns_of("GPU-1", "GPU-2"), turns_of("GPU-2", "GPU-3"), turns_of("GPU-3")
    assert [a.take("one"), b.take("one"), c.take("one")] == ["", "GPU-2", ""]  # who waits holds nothing
    a.give_back("one")
    assert b.take("one") == "GPU-3"
    c.end()
    assert b.take("one") == ""


def test_who_needs_no_gpu_waits_for_nobody(turns_of: TurnsOf) -> None:
    a, b = turns_of("GPU-1"), turns_of("GPU-1")
    assert [a.take("one"), b.take("watch"), turns_of().take("one")] == ["", "", ""]


def test_a_service_begins_in_the_turn_of_the_one_it_needs_and_both_must_be_done(turns_of: TurnsOf) -> None:
    a, b = turns_of("GPU-1"), turns_of("GPU-1")
    assert [a.take("one"), a.take("late"), a.take("two")] == ["", "", "GPU-1"]
    a.give_back("one")
    assert b.take("one") == "GPU-1"
    a.give_back("late")
    assert b.take("one") == ""


def test_giving_back_twice_or_what_was_never_taken_does_nothing(turns_of: TurnsOf) -> None:
    turns = turns_of("GPU-1")
    turns.give_back("one")
    turns.take("one")
    turns.give_back("one")
    turns.give_back("one")
    turns.end()
    assert turns.take("two") == ""


def test_of_many_threads_one_has_the_turn(turns_of: TurnsOf) -> None:
    sessions = [turns_of("GPU-1", "GPU-2") for _ in range(8)]
    had: list[str] = []
    threads = [threading.Thread(target=lambda turns=turns: had.append(turns.take("one"))) for turns in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert had.count("") <= 1
    assert sum(turns.take("one") == "" for turns in sessions) == 1


def test_the_turn_of_a_process_that_was_killed_is_free(turns_of: TurnsOf, tmp_path: Path) -> None:
    lock = tmp_path / "home" / "locks" / "gpu-GPU-1.lock"
    lock.parent.mkdir(parents=True)
    hold = f"import fcntl, sys, time; f = open({str(lock)!r}, 'w'); fcntl.flock(f, 2); print(1, flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        mine = turns_of("GPU-1")
        assert mine.take("one") == "GPU-1"
        child.kill()
        child.wait()
        assert mine.take("one") == ""
