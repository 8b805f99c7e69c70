"""The inventory, asked of a fake NVML library through the real bindings."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from labctl.gpus import nvml
from labctl.gpus.holders import sees_host_processes
from labctl.gpus.inventory import Gpu, Inventory, MigInstance

Fake = Callable[..., str]

GIB = 1024**3
H100 = f"name NVIDIA H100 80GB HBM3\nuuid GPU-1\ntotal {80 * GIB}\nfree {79 * GIB}\ncapability 90\nfabric_state 3\n"
ONE = f"gpu\n{H100}"
NOT_SUPPORTED, NO_PERMISSION, DRIVER_NOT_LOADED, GPU_IS_LOST, RESET_REQUIRED, OPERATING_SYSTEM, MISMATCH = (
    3, 4, 9, 15, 16, 17, 18,
)  # fmt: skip


def _only_gpu(inventory: Inventory) -> Gpu:
    assert inventory.problem is None
    (gpu,) = inventory.gpus
    return gpu


def _library_is_installed() -> bool:
    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return False
    return True


@pytest.mark.skipif(_library_is_installed(), reason="this machine has an NVIDIA driver")
def test_a_machine_without_the_library_says_so_and_how_to_go_on() -> None:
    found = nvml.inventory()
    assert (found.gpus, found.driver, found.cuda) == ((), None, None)
    assert found.problem == (
        "No NVIDIA driver is visible here: this machine has none (use the cpu profile), or this container was started "
        "without a GPU (start it with `--gpus`)."
    )


def test_a_library_path_that_does_not_load_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "libnvidia-ml.so.1"
    wrong.write_text("this is no library")
    problem = nvml.inventory(str(wrong)).problem
    assert problem is not None
    assert str(wrong) in problem
    assert "LABCTL_NVML_LIBRARY" in problem


def test_a_healthy_gpu_is_described_in_full(fake_nvml: Fake) -> None:
    assert nvml.inventory(fake_nvml(ONE)) == Inventory(
        source="NVML",
        driver="570.86.10",
        cuda="12.8",
        gpus=(
            Gpu(
                index=0,
                uuid="GPU-1",
                name="NVIDIA H100 80GB HBM3",
                memory_total_mib=80 * 1024,
                memory_free_mib=79 * 1024,
                compute_capability="9.0",
            ),
        ),
    )


def test_eight_gpus_keep_the_drivers_order(fake_nvml: Fake) -> None:
    scenario = "".join(f"gpu\n{H100}uuid GPU-{number}\n" for number in range(8))
    found = nvml.inventory(fake_nvml(scenario))
    assert [(gpu.index, gpu.uuid) for gpu in found.gpus] == [(number, f"GPU-{number}") for number in range(8)]


def test_a_driver_without_gpus_is_a_normal_state(fake_nvml: Fake) -> None:
    found = nvml.inventory(fake_nvml("driver 570.86.10\n"))
    assert (found.gpus, found.driver) == ((), "570.86.10")
    assert found.problem is not None
    assert "sees no GPU" in found.problem


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (DRIVER_NOT_LOADED, "modprobe nvidia"),
        (NO_PERMISSION, "/dev/nvidia*"),
        (OPERATING_SYSTEM, "device rules"),
        (GPU_IS_LOST, "fell off the bus"),
        (RESET_REQUIRED, "--gpu-reset"),
        (MISMATCH, "library 12.570.86.10): reboot"),
        (999, "'Unknown'"),
        (4242, "'NVMLError'"),
    ],
)
def test_each_failure_to_start_has_its_own_sentence(fake_nvml: Fake, code: int, words: str) -> None:
    found = nvml.inventory(fake_nvml(f"error nvmlInitWithFlags {code}\n{ONE}"))
    assert found.gpus == ()
    assert found.problem is not None
    assert words in found.problem


def test_an_old_driver_gives_null_for_what_it_does_not_know(fake_nvml: Fake) -> None:
    newer = [
        "nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetFieldValues",
        "nvmlDeviceGetRemappedRows", "nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetGpuFabricInfoV",
        "nvmlDeviceGetMigMode", "nvmlDeviceGetCudaComputeCapability", "nvmlSystemGetCudaDriverVersion",
    ]  # fmt: skip
    found = nvml.inventory(fake_nvml(ONE + f"process 1 {2 * GIB}\n", without=newer))
    gpu = _only_gpu(found)
    assert (found.cuda, gpu.compute_capability, gpu.health.ok, gpu.mig_enabled) == (None, None, True, False)
    assert gpu.memory_free_mib == 79 * 1024
    assert [process.memory_mib for process in gpu.processes] == [2048]


def test_a_driver_too_old_to_be_asked_says_so(fake_nvml: Fake) -> None:
    problem = nvml.inventory(fake_nvml(ONE, without=["nvmlInitWithFlags"])).problem
    assert problem is not None
    assert "too old" in problem


def test_memory_that_the_driver_does_not_tell_is_unknown(fake_nvml: Fake) -> None:
    gpu = _only_gpu(nvml.inventory(fake_nvml(f"{ONE}error nvmlDeviceGetMemoryInfo_v2 {NOT_SUPPORTED}\n")))
    assert (gpu.memory_total_mib, gpu.memory_free_mib, gpu.integrated) == (None, None, False)


def test_an_integrated_gpu_has_the_machines_memory(fake_nvml: Fake) -> None:
    scenario = f"gpu\nname NVIDIA GB10\nuuid GPU-1\nerror nvmlDeviceGetMemoryInfo_v2 {NOT_SUPPORTED}\n"
    gpu = _only_gpu(nvml.inventory(fake_nvml(scenario)))
    assert gpu.integrated
    assert gpu.memory_total_mib == psutil.virtual_memory().total // 1024**2
    assert 0 < (gpu.memory_free_mib or 0) <= gpu.memory_total_mib


def test_slices_are_asked_one_by_one(fake_nvml: Fake) -> None:
    part = f"name NVIDIA H100 80GB HBM3 MIG 1g.10gb\ntotal {10 * GIB}\nfree {9 * GIB}\n"
    scenario = f"{ONE}mig_mode 1\nmig\nuuid MIG-1\n{part}mig\nuuid MIG-2\n{part}free {GIB}\n"
    gpu = _only_gpu(nvml.inventory(fake_nvml(scenario)))
    assert gpu.mig_enabled
    assert gpu.mig == (
        MigInstance(uuid="MIG-1", profile="1g.10gb", memory_total_mib=10240, memory_free_mib=9216),
        MigInstance(uuid="MIG-2", profile="1g.10gb", memory_total_mib=10240, memory_free_mib=1024),
    )


def test_a_process_has_a_name_and_an_owner_only_where_its_number_means_something(fake_nvml: Fake) -> None:
    (process,) = _only_gpu(nvml.inventory(fake_nvml(f"{ONE}process {os.getpid()} {GIB}\n"))).processes
    assert (process.pid, process.memory_mib) == (os.getpid(), 1024)
    expected = (psutil.Process().name(), psutil.Process().username()) if sees_host_processes() else (None, None)
    assert (process.name, process.owner) == expected


def test_a_process_whose_memory_is_unknown_is_still_there(fake_nvml: Fake) -> None:
    (process,) = _only_gpu(nvml.inventory(fake_nvml(f"{ONE}process 4194303 {2**64 - 1}\n"))).processes
    assert (process.memory_mib, process.owner) == (None, None)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("recovery 2", "reboot the machine"),
        ("remapped_pending 1", "waits to be remapped"),
        ("remapped_failed 1", "replaced"),
        ("pages_pending 1", "waits to be retired"),
        ("ecc 3", "3 uncorrected memory errors"),
        ("fabric_state 2", "nvidia-fabricmanager"),
        ("fabric_status 999", "NVML error 999"),
        (f"error nvmlDeviceGetMemoryInfo_v2 {GPU_IS_LOST}", "fell off the bus"),
        (f"error nvmlDeviceGetHandleByIndex_v2 {NO_PERMISSION}", "NoPermission"),
    ],
)
def test_trouble_that_the_driver_reports_makes_a_gpu_unhealthy(fake_nvml: Fake, line: str, words: str) -> None:
    health = _only_gpu(nvml.inventory(fake_nvml(f"{ONE}{line}\n"))).health
    assert not health.ok
    assert words in " ".join(health.reasons)


def test_one_lost_gpu_does_not_hide_the_others(fake_nvml: Fake) -> None:
    scenario = f"{ONE}error nvmlDeviceGetHandleByIndex_v2 {GPU_IS_LOST}\ngpu\n{H100}uuid GPU-2\n"
    lost, well = nvml.inventory(fake_nvml(scenario)).gpus
    assert (lost.uuid, lost.health.ok) == ("", False)
    assert (well.uuid, well.health.ok) == ("GPU-2", True)


def test_heat_is_told_and_idleness_is_not(fake_nvml: Fake) -> None:
    idle = _only_gpu(nvml.inventory(fake_nvml(f"{ONE}clocks 0x1\n"))).health
    hot = _only_gpu(nvml.inventory(fake_nvml(f"{ONE}clocks 0x41\n"))).health
    assert (idle.ok, idle.reasons) == (True, ())
    assert hot.ok
    assert "heat" in hot.reasons[0]


def test_a_driver_that_hangs_is_left_alone_after_the_deadline(fake_nvml: Fake) -> None:
    library = fake_nvml(f"{ONE}hang nvmlDeviceGetMigMode\n")
    before = time.monotonic()
    found = nvml.inventory(library, deadline_s=2)
    assert time.monotonic() - before < 10
    assert found.problem is not None
    assert "did not answer within 2 seconds" in found.problem
    alive = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    assert not [child for child in alive if "labctl.gpus.nvml" in child.cmdline()]


def test_a_library_that_crashes_takes_only_its_own_process_with_it(
    fake_nvml: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # loads well here, and aborts where the scenario that it does not understand is read: in the child
    library = fake_nvml("")
    ctypes.CDLL(library)
    (tmp_path / "scenario.txt").write_text("nonsense 1\n")
    problem = nvml.inventory(library).problem
    assert problem is not None
    assert "crashed" in problem
