"""What the driver answered, as an inventory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from labctl.gpus import kernel_log, problems, surroundings
from labctl.gpus.driver import Answer
from labctl.gpus.health import Readings, judge
from labctl.gpus.holders import holder
from labctl.gpus.inventory import Gpu, GpuProcess, Health, Inventory, Link, MigInstance, Sensors

_SOURCE = "NVML"
_INTEGRATED = ("GB10", "ORIN", "THOR", "XAVIER")
_VGPU = 2  # NVML_GPU_VIRTUALIZATION_MODE_VGPU: in a virtual machine; the others are whole GPUs


def inventory(answer: Answer, library: str | None = None, log: str = "") -> Inventory:
    """The inventory. `log` is the kernel's, as far as it can be read.

    `library` is what the settings name, for the sentence about one that cannot be loaded.
    """
    system = _system(answer)
    gpus = _gpus(answer, system.get("count") or 0, log)
    return Inventory(
        source=_SOURCE,
        gpus=gpus,
        links=_links(answer, gpus),
        mps=bool(gpus) and surroundings.mps(),
        driver=system.get("driver"),
        cuda=_cuda(system.get("cuda")),
        problem=None if gpus else _problem(answer, system, library),
    )


def unaskable(error: OSError) -> Inventory:
    """The inventory where the process that asks cannot even be started."""
    return Inventory(source=_SOURCE, problem=problems.unaskable(error.filename or "", error.strerror or str(error)))


def _system(answer: Answer) -> dict[str, Any]:
    return next((line["system"] for line in answer.lines if "system" in line), {})


def _cuda(version: int | None) -> str | None:
    return f"{version // 1000}.{version % 1000 // 10}" if version else None


def _problem(answer: Answer, system: dict[str, Any], library: str | None) -> str:
    if system.get("error") == "LibraryNotFound":
        return problems.unloadable(library, system["why"]) if library else problems.no_driver(surroundings.place())
    if answer.late:
        return problems.hangs(answer.deadline_s)
    if not answer.whole:
        return problems.crashed(answer.returncode)
    kernel = surroundings.kernel_module_version()
    return problems.sentence(system.get("error") or "NoGpu", library=system.get("nvml"), kernel=kernel)


def _gpus(answer: Answer, count: int, log: str) -> tuple[Gpu, ...]:
    """All that the driver counts; none where none of them could be read to its end."""
    raw: list[dict[str, Any]] = [{"index": index} for index in range(count)]
    for line in answer.lines:
        if "gpu" in line:
            raw[line["gpu"]["index"]].update(line["gpu"])
    if not any(gpu.get("read") for gpu in raw):
        return ()
    xids = kernel_log.xids(log)
    return tuple(_gpu(gpu, xids) if gpu.get("read") else _unread(gpu, answer) for gpu in raw)


def _unread(raw: dict[str, Any], answer: Answer) -> Gpu:
    why = problems.gpu_hangs(answer.deadline_s) if answer.late else problems.gpu_crashed(answer.returncode)
    health = Health(ok=False, reasons=(why,))
    name = raw.get("name") or "a GPU that does not answer"
    return Gpu(
        index=raw["index"], uuid=raw.get("uuid") or "", name=name, pci=raw.get("pci"), health=health, processes=None
    )


def _gpu(raw: dict[str, Any], xids: dict[str, tuple[int, ...]]) -> Gpu:
    if raw.get("opened") is False:
        health = judge(Readings(opened=False, errors=frozenset(raw["errors"])))
        return Gpu(index=raw["index"], uuid="", name="a GPU that cannot be opened", health=health, processes=None)
    name = raw["name"] or "a GPU without a name"
    integrated = any(chip in name.upper().split() for chip in _INTEGRATED)
    # an integrated GPU shares the machine's memory, and NVML answers "not supported"
    memory = raw["memory_mib"] or (integrated and surroundings.machine_memory_mib()) or (None, None)
    mig = tuple(_slice(part) for part in raw["mig"])
    processes = _processes(raw, mig)
    known = xids.get((raw["pci"] or "").rpartition(".")[0], ())
    return Gpu(
        index=raw["index"],
        uuid=raw["uuid"] or "",
        name=name,
        memory_total_mib=memory[0],
        memory_free_mib=memory[1],
        compute_capability=".".join(map(str, raw["capability"])) if raw["capability"] else None,
        integrated=integrated,
        mig_enabled=bool(raw["mig_mode"] and raw["mig_mode"][0]),
        mig=mig,
        health=judge(_readings(raw, known, tells_processes=processes is not None)),
        processes=processes,
        virtual=raw["virtualization_mode"] == _VGPU,
        pci=raw["pci"],
        sensors=_sensors(raw, known),
    )


def _slice(raw: dict[str, Any]) -> MigInstance:
    _, _, profile = (raw["name"] or "").partition(" MIG ")
    total_mib, free_mib = raw["memory_mib"] or (None, None)
    return MigInstance(
        uuid=raw["uuid"] or "",
        profile=profile or None,
        memory_total_mib=total_mib,
        memory_free_mib=free_mib,
        processes=_holders(raw["processes"]),
    )


def _processes(raw: dict[str, Any], mig: Iterable[MigInstance]) -> tuple[GpuProcess, ...] | None:
    """A GPU with slices counts theirs too: what is left is what no slice tells. In WSL the list is empty, always."""
    if surroundings.place() == "wsl":
        return None
    told = {process.pid for part in mig for process in part.processes or ()}
    found = _holders(raw["processes"])
    return None if found is None else tuple(process for process in found if process.pid not in told)


def _holders(raw: list[list[Any]] | None) -> tuple[GpuProcess, ...] | None:
    return None if raw is None else tuple(holder(pid, memory_mib) for pid, memory_mib in raw)


def _readings(raw: dict[str, Any], xids: tuple[int, ...], *, tells_processes: bool) -> Readings:
    return Readings(
        recovery_action=raw["recovery_action"],
        remapped_rows=_known(tuple, raw["remapped_rows"]),
        retired_pages_pending=raw["retired_pages_pending"],
        clocks_event_reasons=raw["clocks_event_reasons"],
        ecc_uncorrected=raw["ecc_uncorrected"],
        fabric=_known(tuple, raw["fabric"]),
        compute_mode=raw["compute_mode"],
        mig_mode=_known(tuple, raw["mig_mode"]),
        tells_processes=tells_processes,
        errors=frozenset(raw["errors"]),
        xids=xids,
    )


def _sensors(raw: dict[str, Any], xids: tuple[int, ...]) -> Sensors:
    same = (
        "utilization_percent", "memory_utilization_percent", "temperature_c", "sm_clock_mhz", "memory_clock_mhz",
        "pcie_replays", "ecc_corrected", "ecc_uncorrected",
    )  # fmt: skip
    return Sensors(
        **{name: raw[name] for name in same},
        power_w=_known(lambda milliwatts: milliwatts / 1000, raw["power_mw"]),
        energy_j=_known(lambda millijoules: millijoules / 1000, raw["energy_mj"]),
        xid=next((number for number in reversed(xids) if number in kernel_log.CRITICAL), None),
    )


def _known(convert: Callable[[Any], Any], value: Any) -> Any:
    return None if value is None else convert(value)


def _links(answer: Answer, gpus: tuple[Gpu, ...]) -> tuple[Link, ...]:
    raw: list[Any] = next((line["links"] for line in answer.lines if "links" in line), []) if gpus else []
    named = ((gpus[a].uuid, gpus[b].uuid, level) for a, b, level in raw)
    return tuple(Link(a=a, b=b, level=level) for a, b, level in named if a and b)
