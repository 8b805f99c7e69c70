"""Services that measure a GPU at their start, each alone: of one session, and of sessions that several labctl bring up."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.errors import UnhealthyError
from labctl.runtimes.base import State

from .sessions import LocalLab, alive, until
from .test_gpus import SHARED, up

Labs = Callable[..., LocalLab]
MEASURE = """
import fcntl, os, socket, sys, time
def note(what):
    with open("../order.txt", "a") as order:
        fcntl.flock(order, fcntl.LOCK_EX)
        order.write(f"{what} {os.environ['LABCTL_SESSION']}/{os.environ['LABCTL_SERVICE']}\\n")
note("begins")
time.sleep(0.3)  # loading a model
note("ends")
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    server.accept()[0].close()
"""
SERVICE = """
{name}:
  command: [python3, ../measure.py, "{{{{ port('p') }}}}"]
  ports: {{p: 8000}}
  healthcheck: {{tcp: true, timeout: 60s, interval: 50ms}}
"""
BRING_UP = """
import sys
from pathlib import Path
from labctl import settings
from labctl.gpus.inventory import Allocation, HeldGpu
from labctl.labs.lab import load_folder
from labctl.planning import plan
from labctl.runtimes.local.runtime import LocalRuntime
home, folder, workspace, learner = sys.argv[1:]
runtime = LocalRuntime(settings.load({"LABCTL_HOME": home, "USER": "ada"}))
lab, session = load_folder(Path(folder)), f"demo--{learner}"
Path(workspace).mkdir()
layout = runtime.layout(lab, session, Path(workspace))
gpu = HeldGpu(uuid="GPU-aaaa", name="", memory_mib=1, sharing="timeslice", total_mib=4)
made = plan(lab, learner=learner, profile="cpu", layout=layout, allocation=Allocation(gpus=(gpu,)))
print("ready", flush=True)
sys.stdin.readline()
runtime.up(made, lambda step: print(step, flush=True))
"""


def measured(lab: LocalLab) -> list[str]:
    """Who measured, in order; none began before the one before it was done."""
    lines = (lab.workspace.parent / "order.txt").read_text().splitlines()
    begins, ends = lines[::2], lines[1::2]
    assert [line.replace("begins", "ends") for line in begins] == ends, lines
    return [line.partition(" ")[2] for line in begins]


def measuring(lab_of: Labs, *names: str) -> LocalLab:
    lab = lab_of("".join(SERVICE.format(name=name) for name in names))
    (lab.workspace.parent / "measure.py").write_text(MEASURE)
    return lab


def test_services_of_one_session_measure_one_after_the_other(lab_of: Labs) -> None:
    lab = measuring(lab_of, "one", "two", "three")
    up(lab, SHARED)
    assert sorted(measured(lab)) == ["demo--ada/one", "demo--ada/three", "demo--ada/two"]
    waits = [step.name for step in lab.steps if "waits for its turn on GPU GPU-aaaa" in step.detail]
    assert waits == ["service two", "service three"]  # said once, however long it lasts


def test_sessions_that_are_brought_up_at_once_measure_one_after_the_other(lab_of: Labs, tmp_path: Path) -> None:
    lab = measuring(lab_of, "one", "two")
    command = [sys.executable, "-c", BRING_UP, str(lab.home), str(lab.folder)]
    learners = ("ann", "bea", "cid")
    children = [
        subprocess.Popen(
            [*command, str(tmp_path / learner), learner], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for learner in learners
    ]
    try:
        for child in children:
            assert child.stdout
            assert child.stdout.readline() == "ready\n"
        for child in children:
            assert child.stdin
            child.stdin.write("go\n")
            child.stdin.flush()
        said = [child.communicate(timeout=120)[0] for child in children]
        assert [child.returncode for child in children] == [0, 0, 0], said
        assert sorted(measured(lab)) == sorted(f"demo--{who}/{name}" for who in learners for name in ("one", "two"))
    finally:
        for child in children:
            child.kill()
            child.wait()
        for learner in learners:
            lab.runtime.down({"session": f"demo--{learner}"}, lab.steps.append)


def test_a_labctl_that_was_killed_leaves_the_turn_to_the_next(lab_of: Labs, tmp_path: Path) -> None:
    lab = measuring(lab_of, "one")
    (lab.workspace.parent / "measure.py").write_text("import time; open('../begun', 'w'); time.sleep(600)")
    command = [sys.executable, "-c", BRING_UP, str(lab.home), str(lab.folder), str(tmp_path / "ann"), "ann"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as child:
        assert child.stdin
        child.stdin.write("go\n")
        child.stdin.flush()
        until(lambda: (lab.workspace.parent / "begun").exists())
        child.kill()
    try:
        (lab.workspace.parent / "measure.py").write_text(MEASURE)
        up(lab, SHARED)
        assert measured(lab) == ["demo--ada/one"]
    finally:
        lab.runtime.down({"session": "demo--ann"}, lab.steps.append)


def test_who_must_be_there_for_the_other_to_be_well_does_not_wait_for_it(lab_of: Labs) -> None:
    lab = lab_of("""
        head:
          command: [sh, -c, "touch head; exec sleep 600"]
          healthcheck: {command: [test, -e, worker], timeout: 30s, interval: 50ms}
        worker:
          command: [sh, -c, "touch worker; exec sleep 600"]
          depends_on: {head: {condition: service_started}}
        """)
    up(lab, SHARED)
    assert [lab.state(name).state for name in ("head", "worker")] == [State.RUNNING, State.RUNNING]
    assert not [step for step in lab.steps if "turn" in step.detail]


def test_the_time_a_service_has_begins_with_its_start_and_one_that_fails_gives_its_turn_away(lab_of: Labs) -> None:
    lab = lab_of("""
        never:
          command: [sleep, "600"]
          healthcheck: {command: ["false"], timeout: 3s, interval: 50ms}
        quick:
          command: [sleep, "600"]
          healthcheck: {command: [test, -e, page], timeout: 3s, interval: 50ms}
        """)
    (lab.workspace / "page").touch()
    with pytest.raises(UnhealthyError, match="never did not become healthy") as raised:
        up(lab, SHARED)
    assert "quick" not in str(raised.value)
    assert alive(lab.pid("quick"))
