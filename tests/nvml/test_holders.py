"""Who computes on a GPU, told by real processes."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from labctl.gpus import nvml
from labctl.gpus.holders import holder, sees_host_processes
from labctl.gpus.inventory import GpuProcess
from tests.nvml.conftest import Play
from tests.nvml.library import gpu

hosts_numbers = pytest.mark.skipif(
    not sees_host_processes(), reason="process numbers here are not the host's: run the tests outside of a container"
)
READY = "import sys; print(flush=True); sys.stdin.read()"


@contextmanager
def _running(program: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", program]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env={**os.environ, **environment}, text=True, **pipes) as process:  # type: ignore[call-overload]
        process.stdout.readline()
        yield process
        process.stdin.close()


def _processes(library: str) -> tuple[GpuProcess, ...]:
    (found,) = nvml.inventory(library).gpus
    assert found.processes is not None
    return found.processes


def test_a_process_has_a_name_and_an_owner_only_where_its_number_means_something(play: Play) -> None:
    (process,) = _processes(play(gpu(processes=[{"pid": os.getpid(), "mib": 1024}])))
    assert (process.pid, process.memory_mib) == (os.getpid(), 1024)
    expected = (psutil.Process().name(), psutil.Process().username()) if sees_host_processes() else (None, None)
    assert (process.name, process.owner) == expected


def test_a_process_whose_memory_is_unknown_is_still_there(play: Play) -> None:
    (process,) = _processes(play(gpu(processes=[{"pid": 4194303, "mib": None}])))
    assert process == GpuProcess(pid=4194303)


def test_clients_of_the_multi_process_service_are_counted_once(play: Play) -> None:
    server, client = {"pid": 4194301, "mib": 30}, {"pid": 4194302, "mib": 2048}
    found = _processes(play(gpu(processes=[server], mps_processes=[client, server])))
    assert [(process.pid, process.memory_mib) for process in found] == [(4194301, 30), (4194302, 2048)]


@hosts_numbers
def test_a_process_is_put_down_to_the_session_in_its_environment() -> None:
    with _running(READY, LABCTL_SESSION="stage2-finetune--alice") as process:
        assert holder(process.pid, 1).session == "stage2-finetune--alice"


@hosts_numbers
def test_a_process_without_an_environment_is_put_down_to_the_session_of_the_one_above_it() -> None:
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {READY!r}], env={{}})"
    with _running(child, LABCTL_SESSION="stage4-serve--bob") as process:
        (below,) = psutil.Process(process.pid).children()
        assert "LABCTL_SESSION" not in below.environ()
        assert holder(below.pid, 1).session == "stage4-serve--bob"


@hosts_numbers
def test_a_process_of_nobodys_session_has_none() -> None:
    clean = {name: value for name, value in os.environ.items() if name != "LABCTL_SESSION"}
    # as a service manager does: nothing of ours above it
    command = ["env", "-i", "sh", "-c", "setsid sleep 60 >/dev/null 2>&1 & echo $!"]
    pid = int(subprocess.run(command, env=clean, capture_output=True, text=True, check=True).stdout)
    try:
        found = holder(pid, 1)
        assert (found.session, found.owner) == (None, pwd.getpwuid(os.getuid()).pw_name)
    finally:
        psutil.Process(pid).kill()


def test_a_process_that_has_ended_has_only_its_number() -> None:
    assert holder(4194303, 7) == GpuProcess(pid=4194303, memory_mib=7)
