"""Which GPUs a lab can have, and why not the others. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from labctl.gpus.inventory import Allocation, Gpu, GpuProcess, HeldGpu, Inventory, MigInstance, SharingMode
from labctl.units import format_mib


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What is asked of `count` GPUs. `memory_mib` must be free on each; `compute_capability` is `>=8.0`, `==9.0`, or
    `8.0`, which means at least; `any` sharing takes a GPU of its own first, then whatever can be had."""

    count: int = 1
    memory_mib: int = 0
    compute_capability: str | None = None
    sharing: SharingMode | Literal["any"] = "exclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Offer:
    gpu: HeldGpu
    free_mib: int | None


def unfit(gpu: Gpu, need: Need, held: Collection[str] = ()) -> str | None:
    """Why `gpu` cannot serve `need`, in words with figures; None when it can. `count` is not looked at.

    `held` are the UUIDs of GPUs and MIG slices that others have for themselves. What the driver does not say
    counts as sufficient.
    """
    offers = _offers(gpu, need, held)
    return offers if isinstance(offers, str) else None


def choose(inventory: Inventory, need: Need, held: Collection[str] = ()) -> Allocation | str:
    """`need.count` GPUs, those with most free memory first; or why that cannot be, GPU by GPU."""
    if not inventory.gpus:
        return inventory.problem or f"{inventory.source} knows no GPU."
    asked = [(gpu, _offers(gpu, need, held)) for gpu in inventory.gpus]
    offers = [offer for _, found in asked if not isinstance(found, str) for offer in found]
    if len(offers) < need.count:
        return _refusal(need, len(offers), [(gpu, why) for gpu, why in asked if isinstance(why, str)])
    best = sorted(offers, key=lambda offer: -1 if offer.free_mib is None else offer.free_mib, reverse=True)
    return Allocation(gpus=tuple(offer.gpu for offer in best[: need.count]))


def _refusal(need: Need, fit: int, refused: list[tuple[Gpu, str]]) -> str:
    asked = "a GPU is asked for and none" if need.count == 1 else f"{need.count} GPUs are asked for and {fit or 'none'}"
    lines = [f"{asked} can be used", *(f"GPU {gpu.index} ({gpu.name}): {why}" for gpu, why in refused)]
    return "\n  ".join(lines)


def _offers(gpu: Gpu, need: Need, held: Collection[str]) -> list[_Offer] | str:
    always = [*_ill(gpu), *_too_old(gpu, need)]
    why = ""
    for mode in _modes(gpu, need):
        found = _of_mode(gpu, need, mode, held)
        if not isinstance(found, str) and not always:
            return found
        why = "; ".join([*always, *([found] if isinstance(found, str) else [])])
    return why


def _modes(gpu: Gpu, need: Need) -> tuple[SharingMode, ...]:
    if need.sharing != "any":
        return (need.sharing,)
    return ("mig",) if gpu.mig_enabled else ("exclusive", "timeslice")


def _of_mode(gpu: Gpu, need: Need, mode: SharingMode, held: Collection[str]) -> list[_Offer] | str:
    if mode == "mig":
        return _slices(gpu, need, held)
    why = "; ".join(_whole(gpu, need, mode, held))
    memory_mib = gpu.memory_total_mib if mode == "exclusive" else need.memory_mib or None
    whole = HeldGpu(uuid=gpu.uuid, name=gpu.name, memory_mib=memory_mib, sharing=mode)
    return why or [_Offer(gpu=whole, free_mib=gpu.memory_free_mib)]


def _ill(gpu: Gpu) -> Iterator[str]:
    if not gpu.health.ok:
        yield from gpu.health.reasons or ("the driver reports trouble with it",)


def _too_old(gpu: Gpu, need: Need) -> Iterator[str]:
    if need.compute_capability is None or gpu.compute_capability is None:
        return
    wanted = need.compute_capability.lstrip("=>")
    exact = need.compute_capability.startswith("==")
    has, wants = _version(gpu.compute_capability), _version(wanted)
    if has < wants or (exact and has != wants):
        words = "exactly" if exact else "at least"
        yield f"its compute capability is {gpu.compute_capability}, and {words} {wanted} is asked for"


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def _whole(gpu: Gpu, need: Need, mode: SharingMode, held: Collection[str]) -> Iterator[str]:
    if gpu.mig_enabled:
        yield f"it is split into {len(gpu.mig)} MIG slices, and a whole GPU is asked for"
        return
    if gpu.uuid in held:
        yield "another session holds it"
    if mode == "exclusive" and gpu.processes:
        yield f"in use by {', '.join(_who(process) for process in gpu.processes)}"
    if _lacks(gpu.memory_free_mib, need):
        yield f"{_free(gpu.memory_free_mib, need)} are free"


def _who(process: GpuProcess) -> str:
    owner = f" of {process.owner}" if process.owner else ""
    memory = f", {format_mib(process.memory_mib)}" if process.memory_mib is not None else ""
    return f"{process.name or 'a process'}{owner} (pid {process.pid}{memory})"


def _slices(gpu: Gpu, need: Need, held: Collection[str]) -> list[_Offer] | str:
    if not gpu.mig_enabled:
        return "it is not split into MIG slices, and a slice is asked for"
    if not gpu.mig:
        return "MIG is on and it has no slices; `sudo nvidia-smi mig -cgi PROFILE -C` makes one"
    left = [part for part in gpu.mig if part.uuid not in held]
    if not left:
        return f"other sessions hold all of its {len(gpu.mig)} MIG slices"
    fit = [part for part in left if not _lacks(part.memory_free_mib, need)]
    if not fit:
        largest = max(part.memory_free_mib or 0 for part in left)
        return f"{_free(largest, need)} are free in the largest of its {len(left)} MIG slices to be had"
    return [_slice_offer(gpu, part) for part in fit]


def _slice_offer(gpu: Gpu, part: MigInstance) -> _Offer:
    name = f"{gpu.name} MIG {part.profile}" if part.profile else f"{gpu.name} MIG slice"
    slice_ = HeldGpu(uuid=part.uuid, name=name, memory_mib=part.memory_total_mib, sharing="mig")
    return _Offer(gpu=slice_, free_mib=part.memory_free_mib)


def _lacks(free_mib: int | None, need: Need) -> bool:
    return free_mib is not None and free_mib < need.memory_mib


def _free(free_mib: int | None, need: Need) -> str:
    free, asked = format_mib(free_mib or 0), format_mib(need.memory_mib)
    same_unit = free.split()[1] == asked.split()[1]
    return f"{free.split()[0] if same_unit else free} of the {asked} asked"
