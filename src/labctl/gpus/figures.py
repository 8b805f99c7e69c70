"""What the driver is asked about one GPU, as plain figures under the names that `answers` reads. None: it does not say."""

from __future__ import annotations

import ctypes

TYPE_CHECKING = False  # see labctl.gpus.nvml
if TYPE_CHECKING:
    from typing import Any

    from labctl.gpus.nvml import Device

_MIB = 1024 * 1024
_NOT_AVAILABLE = 0xFFFFFFFF  # NVML_VALUE_NOT_AVAILABLE of an unsigned


def identity(device: Device, handle: Any) -> dict[str, Any]:
    """What a GPU is known by, which is asked first."""
    pci = device.ask("nvmlDeviceGetPciInfo_v3", handle)
    return {
        "uuid": device.text("nvmlDeviceGetUUID", handle),
        "name": device.text("nvmlDeviceGetName", handle),
        "pci": f"{pci.domain:04x}:{pci.bus:02x}:{pci.device:02x}.0" if pci else None,
    }


def figures(device: Device, handle: Any) -> dict[str, Any]:
    """Everything else."""
    mig_mode = device.ask("nvmlDeviceGetMigMode", handle)
    return {
        "memory_mib": _memory(device, handle),
        "capability": device.ask("nvmlDeviceGetCudaComputeCapability", handle),
        "mig_mode": mig_mode,
        "mig": _slices(device, handle) if mig_mode and mig_mode[0] else [],
        "processes": _processes(device, handle),
        "virtualization_mode": device.ask("nvmlDeviceGetVirtualizationMode", handle),
        **_condition(device, handle),
        **_sensors(device, handle),
    }


def accounted(device: Device, handle: Any) -> list[dict[str, Any]]:
    """What the driver has on its account for each process, the ended ones included."""
    found = []
    for pid in device.ask("nvmlDeviceGetAccountingPids", handle) or []:
        stats = device.ask("nvmlDeviceGetAccountingStats", handle, pid)
        if stats is None:  # a newer process took its place in the buffer
            continue
        known = stats.maxMemoryUsage is not None
        entry = {
            "pid": pid,
            "max_memory_mib": stats.maxMemoryUsage // _MIB if known else None,
            "utilization_percent": None if stats.gpuUtilization == _NOT_AVAILABLE else stats.gpuUtilization,
            "time_ms": stats.time,
            "started_us": stats.startTime,
            "running": bool(stats.isRunning),
        }
        found.append(entry)
    return found


def _memory(device: Device, handle: Any) -> list[int] | None:
    """Total and free MiB. Version 2 counts what the driver reserves apart, so that `free` is what a process can get."""
    memory = device.ask("nvmlDeviceGetMemoryInfo", handle, getattr(device.bindings, "nvmlMemory_v2", None))
    if memory is None and device.errors & {"FunctionNotFound", "ArgumentVersionMismatch"}:
        memory = device.ask("nvmlDeviceGetMemoryInfo", handle)
    return [memory.total // _MIB, memory.free // _MIB] if memory is not None else None


def _slices(device: Device, handle: Any) -> list[dict[str, Any]]:
    count = device.ask("nvmlDeviceGetMaxMigDeviceCount", handle) or 0
    # an asker for each slot: an empty slot answers "not found", which says nothing about the GPU
    found = (_slice(type(device)(device.bindings), handle, index) for index in range(count))
    return [part for part in found if part is not None]


def _slice(slot: Device, gpu: Any, index: int) -> dict[str, Any] | None:
    handle = slot.ask("nvmlDeviceGetMigDeviceHandleByIndex", gpu, index)
    if handle is None:
        return None
    return {
        "uuid": slot.text("nvmlDeviceGetUUID", handle),
        "name": slot.text("nvmlDeviceGetName", handle),
        "memory_mib": _memory(slot, handle),
        "processes": _processes(slot, handle),
    }


def _processes(device: Device, handle: Any) -> list[list[int | None]] | None:
    """Number and MiB of each. Clients of the multi-process service are in a list of their own."""
    found = device.ask("nvmlDeviceGetComputeRunningProcesses", handle)
    if found is None:  # drivers before 510 have the second version of the call only
        found = device.ask("nvmlDeviceGetComputeRunningProcesses_v2", handle)
    if found is None:
        return None
    found += device.ask("nvmlDeviceGetMPSComputeRunningProcesses", handle) or []
    used = {item.pid: item.usedGpuMemory for item in found}
    return [[pid, None if memory is None else memory // _MIB] for pid, memory in used.items()]


def _condition(device: Device, handle: Any) -> dict[str, Any]:
    nvml = device.bindings
    clocks = device.ask("nvmlDeviceGetCurrentClocksEventReasons", handle)
    if clocks is None:  # its name before driver 535
        clocks = device.ask("nvmlDeviceGetCurrentClocksThrottleReasons", handle)
    return {
        "recovery_action": _field(device, handle, getattr(nvml, "NVML_FI_DEV_GET_GPU_RECOVERY_ACTION", None)),
        "remapped_rows": device.ask("nvmlDeviceGetRemappedRows", handle),
        "retired_pages_pending": device.ask("nvmlDeviceGetRetiredPagesPendingStatus", handle),
        "clocks_event_reasons": clocks,
        "compute_mode": device.ask("nvmlDeviceGetComputeMode", handle),
        "ecc_corrected": _ecc(device, handle, nvml.NVML_MEMORY_ERROR_TYPE_CORRECTED),
        "ecc_uncorrected": _ecc(device, handle, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED),
        "fabric": _fabric(device, handle),
    }


def _ecc(device: Device, handle: Any, kind: int) -> Any:
    return device.ask("nvmlDeviceGetTotalEccErrors", handle, kind, device.bindings.NVML_VOLATILE_ECC)


def _field(device: Device, handle: Any, field: int | None) -> int | None:
    values = device.ask("nvmlDeviceGetFieldValues", handle, [field]) if field is not None else None
    if values is None or values[0].nvmlReturn != 0:
        return None
    return int(values[0].value.uiVal)


def _fabric(device: Device, handle: Any) -> list[int] | None:
    kind = getattr(device.bindings, "c_nvmlGpuFabricInfo_v2_t", None)
    if kind is None:
        return None
    info = kind()
    answered = device.ask("nvmlDeviceGetGpuFabricInfoV", handle, ctypes.byref(info)) is not None
    return [info.state, info.status] if answered else None


def _sensors(device: Device, handle: Any) -> dict[str, Any]:
    nvml = device.bindings
    utilization = device.ask("nvmlDeviceGetUtilizationRates", handle)
    temperature = device.ask("nvmlDeviceGetTemperatureV", handle, nvml.NVML_TEMPERATURE_GPU)
    if temperature is None:  # drivers before 570
        temperature = device.ask("nvmlDeviceGetTemperature", handle, nvml.NVML_TEMPERATURE_GPU)
    return {
        "utilization_percent": utilization.gpu if utilization else None,
        "memory_utilization_percent": utilization.memory if utilization else None,
        "temperature_c": temperature,
        "power_mw": device.ask("nvmlDeviceGetPowerUsage", handle),
        "energy_mj": device.ask("nvmlDeviceGetTotalEnergyConsumption", handle),
        "sm_clock_mhz": device.ask("nvmlDeviceGetClockInfo", handle, nvml.NVML_CLOCK_SM),
        "memory_clock_mhz": device.ask("nvmlDeviceGetClockInfo", handle, nvml.NVML_CLOCK_MEM),
        "pcie_replays": device.ask("nvmlDeviceGetPcieReplayCounter", handle),
    }
