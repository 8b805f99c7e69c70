"""GPUs of a session of processes: who is told of them, how they are taken back, and a job that borrows some."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from labctl.errors import NotFoundError
from labctl.gpus.inventory import Allocation, HeldGpu
from labctl.plan import Plan
from labctl.runtimes.base import State
from labctl.runtimes.folder import SessionFolder

from .sessions import LocalLab, alive, until

Labs = Callable[..., LocalLab]
A, B = "GPU-aaaa", "GPU-bbbb"
SHARED = HeldGpu(uuid=A, name="a card", memory_mib=6144, sharing="mps", total_mib=24576)
TWO = """
model:
  command: [sh, -c, "echo $CUDA_VISIBLE_DEVICES $LABCTL_GPU_FRACTION {{ gpu_fraction }} {{ gpu_memory_mib }}; exec sleep 600"]
watch:
  command: [sh, -c, "echo watch:$CUDA_VISIBLE_DEVICES:$LABCTL_GPU_FRACTION; exec sleep 600"]
  gpu: false
  depends_on: {model: {condition: service_started}}
"""
STUBBORN = """
model:
  command: [sh, -c, "trap : TERM; touch ready; while :; do sleep 0.1; done"]
  stop_grace_period: 1s
"""
SLEEPER = """
import os, sys, time
if os.isatty(0):
    os.open(os.ttyname(0), os.O_RDWR)  # the first terminal that a new session opens is its own
open(sys.argv[1], "w").write(str(os.getpid()))
time.sleep(600)
"""


def plan(lab: LocalLab, *gpus: HeldGpu) -> Plan:
    """The lab's plan on these GPUs, as the gpu profile would have it."""
    from labctl.labs.lab import load_folder
    from labctl.planning import plan as make

    found = load_folder(lab.folder)
    layout = lab.runtime.layout(found, lab.session, lab.workspace)
    return make(found, learner="ada", profile="cpu", layout=layout, allocation=Allocation(gpus=gpus))


def up(lab: LocalLab, *gpus: HeldGpu, expires_at: str | None = None) -> None:
    lab.runtime.up(plan(lab, *gpus), lab.steps.append, expires_at=expires_at)


@pytest.fixture
def begun(lab_of: Labs) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts what a learner would leave running in the session, with the session's environment; it is ended in the end."""
    with ExitStack() as stack:

        def begin(lab: LocalLab, name: str, *, terminal: bool = False, **environment: str) -> subprocess.Popen[bytes]:
            handle = json.loads(SessionFolder(lab.home, lab.session).handle.read_text())
            stdin: int = subprocess.DEVNULL
            if terminal:
                ends = os.openpty()
                for end in ends:
                    stack.callback(os.close, end)
                stdin = ends[1]
            child = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", SLEEPER, name],
                    cwd=lab.workspace,
                    env={**os.environ, **handle["environment"], **environment},
                    stdin=stdin,
                    start_new_session=True,
                )
            )
            stack.callback(child.kill)
            until(lambda: (lab.workspace / name).exists())
            return child

        yield begin


def test_services_with_gpus_are_told_of_them_and_of_their_share(lab_of: Labs) -> None:
    lab = lab_of(TWO)
    up(lab, SHARED)
    until(lambda: f"{A} 0.25 0.25 6144" in lab.log("model"))
    until(lambda: "watch::" in lab.log("watch"))


def test_withdrawn_gpus_leave_what_needs_none_and_the_next_up_brings_the_rest_back(lab_of: Labs) -> None:
    lab = lab_of(TWO)
    up(lab, SHARED, expires_at="2026-01-02T03:04:05+00:00")
    watch = lab.pid("watch")
    handle = lab.runtime.withdraw_gpus(lab.handle, lab.steps.append)
    assert lab.pids(LABCTL_SERVICE="model") == []
    assert lab.pid("watch") == watch
    assert [state.name for state in lab.runtime.state(handle)] == ["watch"]
    assert handle["environment"]["CUDA_VISIBLE_DEVICES"] == ""
    kept = json.loads(SessionFolder(lab.home, lab.session).handle.read_text())
    assert kept == {**handle, "expires_at": "2026-01-02T03:04:05+00:00"}
    assert lab.runtime.withdraw_gpus(handle, lab.steps.append) == handle
    assert lab.pid("watch") == watch
    assert lab.runtime.changes(plan(lab, SHARED)) == ["start service model"]
    up(lab, SHARED)
    assert (lab.state("model").state, lab.pid("watch")) == (State.RUNNING, watch)


def test_what_the_learner_left_running_on_the_gpus_ends_and_the_rest_stays(
    lab_of: Labs, begun: Callable[..., subprocess.Popen[bytes]]
) -> None:
    lab = lab_of(TWO)
    up(lab, SHARED)
    kernel = begun(lab, "kernel")
    editor = begun(lab, "editor", CUDA_VISIBLE_DEVICES="")
    job = begun(lab, "job", LABCTL_JOB="1")
    shell = begun(lab, "shell", terminal=True)
    lab.runtime.withdraw_gpus(lab.handle, lab.steps.append)
    until(lambda: kernel.poll() is not None)
    assert [child.poll() for child in (editor, job, shell)] == [None, None, None]


def test_gpus_can_be_withdrawn_when_the_lab_is_gone(lab_of: Labs) -> None:
    lab = lab_of(TWO)
    up(lab, SHARED)
    (lab.folder / "lab.yaml").unlink()
    lab.folder.rmdir()
    handle = lab.runtime.withdraw_gpus(lab.handle, lab.steps.append)
    assert lab.runtime.state(handle)[0].state is State.RUNNING
    assert lab.pids(LABCTL_SERVICE="model") == []


def test_there_is_nothing_to_withdraw_from_a_session_that_was_never_started(lab_of: Labs) -> None:
    with pytest.raises(NotFoundError, match="never started"):
        lab_of(TWO).runtime.withdraw_gpus({"session": "demo--ada"}, lambda _step: None)


def test_a_withdrawal_that_was_killed_is_finished_by_the_next(lab_of: Labs) -> None:
    lab = lab_of(STUBBORN)
    up(lab, SHARED)
    until(lambda: (lab.workspace / "ready").exists())
    program = f"""
    from labctl import settings
    from labctl.runtimes.local.runtime import LocalRuntime
    runtime = LocalRuntime(settings.load({{"LABCTL_HOME": {str(lab.home)!r}, "USER": "ada"}}))
    runtime.withdraw_gpus({{"session": "demo--ada"}}, print)
    """
    kept = SessionFolder(lab.home, lab.session).plan
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.DEVNULL) as child:
        until(lambda: '"allocation": null' in kept.read_text())
        child.kill()
    lab.runtime.withdraw_gpus(lab.handle, lab.steps.append)
    until(lambda: lab.pids(LABCTL_SERVICE="model") == [])  # what was killed is seen until it is reaped
    up(lab, SHARED)
    assert lab.state("model").state is State.RUNNING


def test_a_job_has_the_gpus_it_borrows_and_the_labs_own_word_comes_last(lab_of: Labs) -> None:
    lab = lab_of(TWO, workspace="environment: {XLA_PYTHON_CLIENT_MEM_FRACTION: '0.1'}")
    up(lab, SHARED)
    other = HeldGpu(uuid=B, name="b", memory_mib=1000, sharing="timeslice", total_mib=4000)
    names = "CUDA_VISIBLE_DEVICES LABCTL_GPU_MEMORY_MIB PYTORCH_ALLOC_CONF XLA_PYTHON_CLIENT_MEM_FRACTION LABCTL_LAB"
    script = f"for name in {names}; do eval echo \\$$name; done > seen; exit 7"
    assert lab.runtime.run(lab.handle, ["sh", "-c", script], [other]) == 7
    seen = (lab.workspace / "seen").read_text().split()
    assert seen == [B, "1000", "per_process_memory_fraction:0.25", "0.1", "demo"]


def test_nothing_of_a_job_is_left_when_it_has_ended(lab_of: Labs) -> None:
    lab = lab_of(TWO)
    up(lab, SHARED)
    lab.script("sleeper.py", SLEEPER)
    script = "setsid python3 sleeper.py left & until [ -s left ]; do sleep 0.05; done"
    assert lab.runtime.run(lab.handle, ["sh", "-c", script], [SHARED]) == 0
    assert not alive(int((lab.workspace / "left").read_text()))


def test_a_job_ends_with_the_labctl_that_began_it(lab_of: Labs) -> None:
    lab = lab_of(TWO)
    up(lab, SHARED)
    lab.script("sleeper.py", SLEEPER)
    program = f"""
    from labctl import settings
    from labctl.runtimes.local.runtime import LocalRuntime
    runtime = LocalRuntime(settings.load({{"LABCTL_HOME": {str(lab.home)!r}, "USER": "ada"}}))
    runtime.run({{"session": "demo--ada"}}, ["sh", "-c", "setsid python3 sleeper.py far & python3 sleeper.py near"], [])
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)]) as child:
        files = [lab.workspace / name for name in ("far", "near")]
        until(lambda: all(file.exists() and file.read_text() for file in files))
        child.kill()
    pids = [int(file.read_text()) for file in files]
    until(lambda: not any(alive(pid) for pid in pids))
