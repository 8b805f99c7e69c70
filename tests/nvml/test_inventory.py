"""The inventory, asked of a fake NVML library through the real bindings."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

import psutil
import pytest

from labctl.gpus import nvml, surroundings
from labctl.gpus.holders import sees_host_processes
from labctl.gpus.inventory import Gpu, Inventory, Link, MigInstance, Sensors
from tests.nvml.conftest import Play
from tests.nvml.library import NODE, gpu, links, mig_slice

NOT_SUPPORTED, NO_PERMISSION, GPU_IS_LOST, VERSION_MISMATCH = 3, 4, 15, 25


def only_gpu(inventory: Inventory) -> Gpu:
    assert inventory.problem is None
    (found,) = inventory.gpus
    return found


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
    assert (found.problem or "").startswith("No NVIDIA driver is visible")


def test_a_library_path_that_does_not_load_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "libnvidia-ml.so.1"
    wrong.write_text("this is no library")
    problem = nvml.inventory(str(wrong)).problem
    assert problem is not None
    assert str(wrong) in problem
    assert "LABCTL_NVML_LIBRARY" in problem


def test_a_library_may_be_named_from_where_one_is(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    library = Path(play(gpu()))
    monkeypatch.chdir(library.parent)
    assert only_gpu(nvml.inventory(f"./{library.name}")).uuid == "GPU-1"


def test_a_healthy_gpu_is_described_in_full(play: Play) -> None:
    sensors: dict[str, Any] = {
        "utilization_percent": 13,
        "memory_utilization_percent": 4,
        "temperature_c": 47,
        "sm_clock_mhz": 1980,
    }
    counts: dict[str, Any] = {"memory_clock_mhz": 2619, "pcie_replays": 2, "ecc_corrected": 5, "ecc_uncorrected": 0}
    library = play(gpu(pci="0000:17:00.0", power_mw=118250, energy_mj=7200000, **sensors, **counts))
    assert nvml.inventory(library) == Inventory(
        source="NVML",
        driver="570.86.10",
        cuda="12.8",
        mps=surroundings.mps(),
        gpus=(
            Gpu(
                index=0,
                uuid="GPU-1",
                name="NVIDIA H100 80GB HBM3",
                memory_total_mib=80 * 1024,
                memory_free_mib=79 * 1024,
                compute_capability="9.0",
                pci="0000:17:00.0",
                sensors=Sensors(power_w=118.25, energy_j=7200.0, **sensors, **counts),
            ),
        ),
    )


def test_what_a_driver_does_not_say_is_unknown_and_no_illness(play: Play) -> None:
    found = only_gpu(nvml.inventory(play({"uuid": "GPU-1", "name": "NVIDIA T4"})))
    assert (found.sensors, found.processes, found.pci, found.virtual) == (Sensors(), None, None, False)
    assert found.health.ok


def test_eight_gpus_keep_the_drivers_order_and_each_pair_is_linked_once(play: Play) -> None:
    numbers = range(8)
    found = nvml.inventory(play(*(gpu(f"GPU-{number}") for number in numbers), links=links(8)))
    assert [(one.index, one.uuid) for one in found.gpus] == [(number, f"GPU-{number}") for number in numbers]
    pairs = {frozenset((link.a, link.b)) for link in found.links}
    assert len(found.links) == len(pairs) == 28
    assert {link.level for link in found.links} == {"nvlink"}


def test_gpus_without_nvlink_are_linked_by_what_both_hang_on(play: Play) -> None:
    found = nvml.inventory(play(gpu("GPU-1"), gpu("GPU-2"), gpu("GPU-3"), links=links(2, NODE)))
    assert found.links == (Link(a="GPU-1", b="GPU-2", level="node"),)


def test_an_old_driver_gives_null_for_what_it_does_not_know(play: Play) -> None:
    newer = (
        "nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetFieldValues",
        "nvmlDeviceGetRemappedRows", "nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetGpuFabricInfoV",
        "nvmlDeviceGetMigMode", "nvmlDeviceGetCudaComputeCapability", "nvmlSystemGetCudaDriverVersion",
        "nvmlDeviceGetTemperatureV", "nvmlDeviceGetP2PStatus", "nvmlDeviceGetMPSComputeRunningProcesses_v3",
    )  # fmt: skip
    busy = gpu(processes=[{"pid": 1, "mib": 2048}], temperature_c=60, clocks_event_reasons=0x20)
    found = nvml.inventory(play(busy, gpu("GPU-2"), links=links(2, NODE), without=newer))
    first = found.gpus[0]
    assert (found.cuda, first.compute_capability, first.health.ok, first.mig_enabled) == (None, None, True, False)
    assert first.memory_free_mib == 79 * 1024
    assert [process.memory_mib for process in first.processes or ()] == [2048]
    # under their older names
    assert (first.sensors.temperature_c, "heat" in first.health.reasons[0]) == (60, True)
    assert [link.level for link in found.links] == ["node"]


def test_a_driver_that_knows_the_function_and_not_its_structure_is_asked_the_older_way(play: Play) -> None:
    newer = dict.fromkeys(("nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetTemperatureV"), VERSION_MISMATCH)
    found = only_gpu(nvml.inventory(play(gpu(errors=newer, temperature_c=50))))
    assert (found.memory_free_mib, found.sensors.temperature_c) == (79 * 1024, 50)


def test_memory_that_the_driver_does_not_tell_is_unknown(play: Play) -> None:
    found = only_gpu(nvml.inventory(play(gpu(total_mib=None))))
    assert (found.memory_total_mib, found.memory_free_mib, found.integrated) == (None, None, False)


def test_an_integrated_gpu_has_the_machines_memory(play: Play) -> None:
    found = only_gpu(nvml.inventory(play(gpu(name="NVIDIA GB10", total_mib=None))))
    assert found.integrated
    assert found.memory_total_mib == psutil.virtual_memory().total // 1024**2
    assert 0 < (found.memory_free_mib or 0) <= found.memory_total_mib


def test_a_vgpu_is_known_as_a_share_and_a_passed_through_gpu_as_a_whole(play: Play) -> None:
    found = nvml.inventory(play(gpu("GPU-1", virtualization_mode=2), gpu("GPU-2", virtualization_mode=1)))
    assert [one.virtual for one in found.gpus] == [True, False]


def test_slices_are_asked_one_by_one_and_their_processes_are_not_counted_twice(play: Play) -> None:
    on_slice, elsewhere = {"pid": 4194301, "mib": 1024}, {"pid": 4194302, "mib": 64}
    parts = [mig_slice("MIG-1"), mig_slice("MIG-2", used_gib=9, processes=[on_slice])]
    found = only_gpu(nvml.inventory(play(gpu(mig_mode=1, mig=parts, processes=[on_slice, elsewhere]))))
    assert found.mig_enabled
    assert found.mig[0] == MigInstance(
        uuid="MIG-1", profile="1g.10gb", memory_total_mib=10240, memory_free_mib=9216, processes=()
    )
    assert [process.pid for process in found.mig[1].processes or ()] == [4194301]
    assert [process.pid for process in found.processes or ()] == [4194302]


def test_a_slice_that_does_not_tell_its_processes_leaves_them_with_the_gpu(play: Play) -> None:
    part = mig_slice("MIG-1", processes=None)
    found = only_gpu(nvml.inventory(play(gpu(mig_mode=1, mig=[part], processes=[{"pid": 4194301, "mib": 64}]))))
    assert found.mig[0].processes is None
    assert [process.pid for process in found.processes or ()] == [4194301]


def test_one_lost_gpu_does_not_hide_the_others(play: Play) -> None:
    lost = gpu("GPU-1", errors={"nvmlDeviceGetHandleByIndex_v2": GPU_IS_LOST})
    first, second = nvml.inventory(play(lost, gpu("GPU-2"), links=links(2))).gpus
    assert (first.uuid, first.health.ok) == ("", False)
    assert (second.uuid, second.health.ok) == ("GPU-2", True)


def test_a_gpu_lost_in_mid_call_is_ill_and_keeps_what_it_said_before(play: Play) -> None:
    lost = {"nvmlDeviceGetClockInfo": {"code": GPU_IS_LOST, "after": 1}}
    found = only_gpu(nvml.inventory(play(gpu(errors=lost, sm_clock_mhz=1980, memory_clock_mhz=2619))))
    assert (found.sensors.sm_clock_mhz, found.sensors.memory_clock_mhz) == (1980, None)
    assert "fell off the bus" in found.health.reasons[0]


def test_a_device_file_that_this_user_may_not_open_is_named(play: Play) -> None:
    refused = gpu(errors={"nvmlDeviceGetHandleByIndex_v2": NO_PERMISSION})
    found = only_gpu(nvml.inventory(play(refused)))
    assert not found.health.ok
    assert "/dev/nvidia*" in found.health.reasons[0]


def test_the_pipe_of_the_multi_process_service_is_found(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    library = play(gpu())
    assert not nvml.inventory(library).mps
    os.mkfifo(tmp_path / "control")
    assert nvml.inventory(library).mps
    (tmp_path / "nvidia-cuda-mps-control.pid").write_text("4194303\n")  # a daemon that is gone
    assert nvml.inventory(library).mps != sees_host_processes()
