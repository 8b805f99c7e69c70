"""Process accounting, asked of the fake library through the real bindings."""

from __future__ import annotations

from labctl.gpus import nvml
from labctl.gpus.accounting import Accounted
from tests.nvml.conftest import Play
from tests.nvml.library import gpu

ENDED = {"pid": 7, "max_mib": 9000, "gpu_percent": 83, "time_ms": 61000, "start_us": 1763800000000000, "running": False}
RUNNING = {
    "pid": 8,
    "max_mib": 512,
    "gpu_percent": 4294967295,
    "time_ms": 0,
    "start_us": 1763800060000000,
    "running": True,
}


def test_ended_and_running_processes_are_accounted_gpu_by_gpu(play: Play) -> None:
    first, second = (
        gpu("GPU-1", accounting_mode=1, accounting=[ENDED]),
        gpu("GPU-2", accounting_mode=1, accounting=[RUNNING]),
    )
    assert nvml.accounting(play(first, second)) == [
        Accounted(
            uuid="GPU-1",
            pid=7,
            max_memory_mib=9000,
            utilization_percent=83,
            time_ms=61000,
            started_us=1763800000000000,
            running=False,
        ),
        Accounted(uuid="GPU-2", pid=8, max_memory_mib=512, started_us=1763800060000000, running=True),
    ]


def test_a_gpu_whose_accounting_is_off_or_unknown_tells_nothing(play: Play) -> None:
    off, unknown = gpu("GPU-1", accounting_mode=0, accounting=[ENDED]), gpu("GPU-2", accounting=[ENDED])
    assert nvml.accounting(play(off, unknown)) == []


def test_a_process_that_left_the_buffer_in_the_meantime_is_left_out(play: Play) -> None:
    gone = {"nvmlDeviceGetAccountingStats": {"code": 6, "after": 1}}
    found = nvml.accounting(play(gpu(accounting_mode=1, accounting=[ENDED, RUNNING], errors=gone)))
    assert [account.pid for account in found] == [7]


def test_without_a_driver_or_with_one_that_hangs_there_is_no_account(play: Play) -> None:
    assert nvml.accounting("/nowhere/libnvidia-ml.so.1") == []
    hangs = gpu("GPU-2", accounting_mode=1, hangs=["nvmlDeviceGetAccountingPids"])
    accounted = gpu("GPU-1", accounting_mode=1, accounting=[ENDED])
    assert [account.uuid for account in nvml.accounting(play(accounted, hangs), deadline_s=2)] == ["GPU-1"]
