"""What NVML says about the GPUs of this host. The only module that speaks to the NVML bindings.

The driver is asked in a process of its own: a call into a wedged driver cannot be interrupted, and a library that crashes
takes its process with it. Neither may happen to labctl.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil

from labctl.gpus import problems
from labctl.gpus.health import Readings, judge
from labctl.gpus.holders import holder
from labctl.gpus.inventory import Gpu, GpuProcess, Inventory, MigInstance

DEADLINE_S = 15.0
"""Opening eight GPUs without persistence mode takes most of this; nvidia-smi needs as long."""
_SOURCE = "NVML"
_LIBRARY = "libnvidia-ml.so.1"
_KERNEL_MODULE_VERSION = Path("/sys/module/nvidia/version")
_INTEGRATED = ("GB10", "ORIN", "THOR", "XAVIER")
_MIB = 1024 * 1024


def inventory(library: str | None = None, *, deadline_s: float = DEADLINE_S) -> Inventory:
    """The GPUs of this host; never raises. Where there are none, `problem` is one sentence with the cause and the remedy.

    `library` is the path of the NVML library; None finds the driver's own. The answer comes within `deadline_s`
    seconds, give or take the start of a process; on a host without the library at once.
    """
    try:
        ctypes.CDLL(library or _LIBRARY)
    except OSError as error:
        return _none(problems.unloadable(library, str(error)) if library else problems.sentence("LibraryNotFound"))
    return _ask([sys.executable, "-P", "-m", "labctl.gpus.nvml", library or ""], deadline_s)


def _none(problem: str) -> Inventory:
    return Inventory(source=_SOURCE, problem=problem)


def _ask(command: list[str], deadline_s: float) -> Inventory:
    from pydantic import TypeAdapter

    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/"
    )
    try:
        answer, _ = process.communicate(timeout=deadline_s)
    except subprocess.TimeoutExpired:
        return _none(problems.hangs(deadline_s))
    finally:
        _end(process)
    if process.returncode != 0:
        return _none(problems.crashed(process.returncode))
    # a driver library may print on its own before the answer
    return TypeAdapter(Inventory).validate_json(answer.splitlines()[-1])


def _end(process: subprocess.Popen[bytes]) -> None:
    """A process inside a wedged driver ends when the driver lets go of it, so it is not waited for long."""
    process.kill()
    if process.stdout:
        process.stdout.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=1)


class _Device:
    """NVML's functions by name, for one device. What the driver does not say is None; `errors` keeps why."""

    def __init__(self, bindings: ModuleType) -> None:
        self.bindings = bindings
        self.errors: set[str] = set()

    def ask(self, function: str, *arguments: Any) -> Any:
        nvml = self.bindings
        try:
            return getattr(nvml, function)(*arguments)
        except nvml.NVMLError as error:
            self.errors.add(_name(error))
        except (nvml.NVMLLibraryMismatchError, AttributeError, UnicodeDecodeError):
            # bindings newer or older than the driver; a name that is not UTF-8
            self.errors.add("FunctionNotFound")
        return None

    def text(self, function: str, *arguments: Any) -> str | None:
        """The answer as text: some releases of the bindings give bytes."""
        value = self.ask(function, *arguments)
        return value.decode(errors="replace") if isinstance(value, bytes) else value


def _read(library: str | None) -> Inventory:
    import pynvml

    if library:
        pynvml.nvmlLib = ctypes.CDLL(library)
    try:
        pynvml.nvmlInitWithFlags(pynvml.NVML_INIT_FLAG_NO_GPUS)
    except pynvml.NVMLError as error:
        return _none(_problem(pynvml, _name(error)))
    try:
        return _found(pynvml)
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _name(error: Exception) -> str:
    return type(error).__name__.removeprefix("NVMLError_")


def _problem(nvml: ModuleType, error: str) -> str:
    library = _Device(nvml).text("nvmlSystemGetNVMLVersion")  # answers without a successful nvmlInit
    with contextlib.suppress(OSError):
        return problems.sentence(error, library=library, kernel=_KERNEL_MODULE_VERSION.read_text().strip())
    return problems.sentence(error, library=library)


def _found(nvml: ModuleType) -> Inventory:
    system = _Device(nvml)
    count = system.ask("nvmlDeviceGetCount")
    cuda = system.ask("nvmlSystemGetCudaDriverVersion")
    problem = None
    if not count:
        problem = problems.sentence("NoGpu") if count == 0 else _problem(nvml, next(iter(system.errors)))
    return Inventory(
        source=_SOURCE,
        gpus=tuple(_gpu(_Device(nvml), index) for index in range(count or 0)),
        driver=system.text("nvmlSystemGetDriverVersion"),
        cuda=f"{cuda // 1000}.{cuda % 1000 // 10}" if cuda else None,
        problem=problem,
    )


def _gpu(device: _Device, index: int) -> Gpu:
    handle = device.ask("nvmlDeviceGetHandleByIndex", index)
    if handle is None:
        health = judge(Readings(opened=False, errors=frozenset(device.errors)))
        return Gpu(index=index, uuid="", name="a GPU that cannot be opened", health=health)
    name = device.text("nvmlDeviceGetName", handle) or "a GPU without a name"
    integrated = any(chip in name.upper().split() for chip in _INTEGRATED)
    total_mib, free_mib = _memory(device, handle, integrated)
    capability = device.ask("nvmlDeviceGetCudaComputeCapability", handle)
    mig_mode = device.ask("nvmlDeviceGetMigMode", handle)
    return Gpu(
        index=index,
        uuid=device.text("nvmlDeviceGetUUID", handle) or "",
        name=name,
        memory_total_mib=total_mib,
        memory_free_mib=free_mib,
        compute_capability=f"{capability[0]}.{capability[1]}" if capability else None,
        integrated=integrated,
        mig_enabled=bool(mig_mode and mig_mode[0]),
        mig=_slices(device, handle) if mig_mode and mig_mode[0] else (),
        processes=_processes(device, handle),
        health=judge(_readings(device, handle)),
    )


def _memory(device: _Device, handle: Any, integrated: bool = False) -> tuple[int | None, int | None]:
    """Total and free MiB. Version 2 counts what the driver reserves apart, so that `free` is what a process can get."""
    memory = device.ask("nvmlDeviceGetMemoryInfo", handle, getattr(device.bindings, "nvmlMemory_v2", None))
    if memory is None and "FunctionNotFound" in device.errors:
        memory = device.ask("nvmlDeviceGetMemoryInfo", handle)
    if memory is not None:
        return memory.total // _MIB, memory.free // _MIB
    if integrated:  # it shares the machine's memory and NVML answers "not supported"
        machine = psutil.virtual_memory()
        return machine.total // _MIB, machine.available // _MIB
    return None, None


def _slices(device: _Device, handle: Any) -> tuple[MigInstance, ...]:
    count = device.ask("nvmlDeviceGetMaxMigDeviceCount", handle) or 0
    # an asker for each slot: an empty slot answers "not found", which says nothing about the GPU
    found = (_slice(_Device(device.bindings), handle, index) for index in range(count))
    return tuple(part for part in found if part is not None)


def _slice(slot: _Device, gpu: Any, index: int) -> MigInstance | None:
    handle = slot.ask("nvmlDeviceGetMigDeviceHandleByIndex", gpu, index)
    if handle is None:
        return None
    total_mib, free_mib = _memory(slot, handle)
    _, _, profile = (slot.text("nvmlDeviceGetName", handle) or "").partition(" MIG ")
    return MigInstance(
        uuid=slot.text("nvmlDeviceGetUUID", handle) or "",
        profile=profile or None,
        memory_total_mib=total_mib,
        memory_free_mib=free_mib,
    )


def _processes(device: _Device, handle: Any) -> tuple[GpuProcess, ...]:
    found = device.ask("nvmlDeviceGetComputeRunningProcesses", handle)
    if found is None:  # drivers before 510 have the second version of the call only
        found = device.ask("nvmlDeviceGetComputeRunningProcesses_v2", handle) or []
    return tuple(holder(item.pid, item.usedGpuMemory) for item in found)


def _readings(device: _Device, handle: Any) -> Readings:
    nvml = device.bindings
    pages = device.ask("nvmlDeviceGetRetiredPagesPendingStatus", handle)
    kinds = (nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC)
    return Readings(
        recovery_action=_field(device, handle, nvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION),
        remapped_rows=device.ask("nvmlDeviceGetRemappedRows", handle),
        retired_pages_pending=None if pages is None else bool(pages),
        clocks_event_reasons=device.ask("nvmlDeviceGetCurrentClocksEventReasons", handle),
        ecc_uncorrected=device.ask("nvmlDeviceGetTotalEccErrors", handle, *kinds),
        fabric=_fabric(device, handle),
        errors=frozenset(device.errors),
    )


def _field(device: _Device, handle: Any, field: int) -> int | None:
    values = device.ask("nvmlDeviceGetFieldValues", handle, [field])
    known = values is not None and values[0].nvmlReturn == 0
    return int(values[0].value.uiVal) if known else None


def _fabric(device: _Device, handle: Any) -> tuple[int, int] | None:
    info = device.bindings.c_nvmlGpuFabricInfo_v2_t()
    answered = device.ask("nvmlDeviceGetGpuFabricInfoV", handle, ctypes.byref(info)) is not None
    return (info.state, info.status) if answered else None


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(asdict(_read(sys.argv[1] or None))) + "\n")
