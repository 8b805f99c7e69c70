"""The inventory of eight GPUs against bare NVML calls, with the fake library: no driver, so only what labctl adds is real."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.nvml.library import SCENARIOS, compile_fake

RUNS = 21
_BARE = """
import ctypes, json, sys, time
import pynvml as nvml
nvml.nvmlLib = ctypes.CDLL(sys.argv[1])
def ask(function, *arguments):
    try:
        return getattr(nvml, "nvml" + function)(*arguments)
    except (nvml.NVMLError, nvml.NVMLLibraryMismatchError):
        return None
def of_gpu(handle):
    for name in (
        "UUID", "Name", "PciInfo_v3", "CudaComputeCapability", "MigMode", "ComputeRunningProcesses", "VirtualizationMode",
        "MPSComputeRunningProcesses", "CurrentClocksEventReasons", "RemappedRows", "RetiredPagesPendingStatus",
        "ComputeMode", "UtilizationRates", "PowerUsage", "TotalEnergyConsumption", "PcieReplayCounter",
    ):
        ask("DeviceGet" + name, handle)
    ask("DeviceGetMemoryInfo", handle, nvml.nvmlMemory_v2)
    ask("DeviceGetFieldValues", handle, [nvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION])
    ask("DeviceGetGpuFabricInfoV", handle, ctypes.byref(nvml.c_nvmlGpuFabricInfo_v2_t()))
    ask("DeviceGetTemperatureV", handle, 0)
    for kind in (0, 1):
        ask("DeviceGetTotalEccErrors", handle, kind, 0)
    for clock in (1, 2):
        ask("DeviceGetClockInfo", handle, clock)
def once():
    begun = time.perf_counter()
    nvml.nvmlInitWithFlags(nvml.NVML_INIT_FLAG_NO_GPUS)
    handles = [ask("DeviceGetHandleByIndex", index) for index in range(nvml.nvmlDeviceGetCount())]
    for number, handle in enumerate(handles):
        of_gpu(handle)
        for other in handles[:number]:
            if ask("DeviceGetP2PStatus", handle, other, nvml.NVML_P2P_CAPS_INDEX_NVLINK) != 0:
                ask("DeviceGetTopologyCommonAncestor", handle, other)
    nvml.nvmlShutdown()
    return time.perf_counter() - begun
print(json.dumps(min(once() for _ in range(5))))
"""


def inventory(folder: Path) -> dict[str, Any]:
    """Aim: eight GPUs in less than 50 ms over the bare calls.

    `calls_s` is the bare calls alone, in a process that has loaded the bindings; `process_s` a process that starts, loads
    the bindings, and makes them; `inventory_s` labctl's inventory, whose process does both and much besides.
    """
    library = str(compile_fake(folder))
    os.environ["FAKE_NVML"] = str(SCENARIOS / "eight.json")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    return compared(library)


def compared(library: str) -> dict[str, Any]:
    """The same with any library: medians of runs taken in turns."""
    from labctl.gpus import nvml

    gpus = len(nvml.inventory(library).gpus)
    timed: Mapping[str, Callable[[], object]] = {
        "start_s": lambda: subprocess.run([sys.executable, "-c", "pass"], check=True),
        "process_s": lambda: _bare(library),
        "inventory_s": lambda: nvml.inventory(library),
        "without_library_s": lambda: nvml.inventory("/nowhere/libnvidia-ml.so.1"),
    }
    times: dict[str, list[float]] = {name: [] for name in timed}
    calls = []
    for turn in range(RUNS + 1):
        for name, run in timed.items():
            begun = time.perf_counter()
            answer = run()
            if turn:
                times[name].append(time.perf_counter() - begun)
            if name == "process_s":
                calls.append(float(answer))  # type: ignore[arg-type]
    medians = {name: round(statistics.median(values), 4) for name, values in times.items()}
    bare = statistics.median(calls)
    return {
        "gpus": gpus,
        "calls_s": round(bare, 4),
        **medians,
        "over_calls_ms": round((medians["inventory_s"] - bare) * 1000, 1),
        "over_process_ms": round((medians["inventory_s"] - medians["process_s"]) * 1000, 1),
        "to_process_ratio": round(medians["inventory_s"] / medians["process_s"], 2),
    }


def _bare(library: str) -> str:
    """Seconds that the calls alone take."""
    command = [sys.executable, "-c", _BARE, library]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="labctl-bench-inventory-") as made:
        print(json.dumps(inventory(Path(made)), indent=2))
