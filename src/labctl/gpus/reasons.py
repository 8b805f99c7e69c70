"""Why a GPU cannot be had, in words with figures. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from labctl.gpus.inventory import Gpu, GpuProcess, Holding, SharingMode
from labctl.gpus.need import Need, modes
from labctl.gpus.parts import SHARED, Part, capable
from labctl.units import format_mib

ALIKE = "it can only be shared in another way than the others, and all GPUs of a session are held in one way"
MPS_OFF = "the MPS daemon does not run: `sudo nvidia-cuda-mps-control -d`"
NO_MEMORY_NAMED = "a share of a GPU needs `memory` in the lab's gpu profile, and it names none"
ONE_SLICE = "a CUDA program can use one MIG slice only, and several GPUs are asked for"
WAYS: dict[SharingMode, str] = {
    "exclusive": "a GPU of one's own",
    "mig": "a MIG slice",
    "mps": "a share through MPS",
    "timeslice": "a share in turns",
}
MANY = 3
"""Holders and processes that are named; of more the number is told."""


def why(gpu: Gpu, parts: Sequence[Part], need: Need, *, mps: bool) -> str:
    """Everything that keeps `gpu`, given away in `parts`, from serving `need`; told of the mode that comes nearest."""
    mode = _nearest(gpu, parts, need, mps=mps)
    found = [*_ill(gpu), *_too_old(gpu, need)]
    if mode is None:
        return "; ".join([*found, "no way of sharing gives the isolation that is asked for"])
    if mode == "mig":
        found += _slices(gpu, parts, need)
    elif gpu.mig_enabled:
        found.append(f"it is split into {len(gpu.mig)} MIG slices, and a whole GPU is asked for")
    else:
        found += _whole(parts[0], need, mode, mps=mps)
    return "; ".join(found)


def _nearest(gpu: Gpu, parts: Sequence[Part], need: Need, *, mps: bool) -> SharingMode | None:
    """Of the modes that `need` allows, the one in which `gpu` would serve if anything did."""
    allowed = modes(need.sharing, need.isolation)
    if len(allowed) < 2:
        return allowed[0] if allowed else None
    if gpu.mig_enabled and need.count == 1:
        return "mig"
    usable = [mode for mode in allowed if mode == "exclusive" or (mode in SHARED and need.memory_mib)]
    running = [mode for mode in usable if mode != "mps" or mps]
    held = parts[0].mode if parts else None
    return held if held in running else running[0]


def _ill(gpu: Gpu) -> Iterator[str]:
    if not gpu.health.ok:
        yield from gpu.health.reasons or ("the driver reports trouble with it",)
    elif not gpu.uuid:
        yield "the driver counts it and cannot open it"


def _too_old(gpu: Gpu, need: Need) -> Iterator[str]:
    if need.compute_capability is not None and not capable(gpu.compute_capability, need):
        words = "exactly" if need.compute_capability.startswith("==") else "at least"
        wanted = need.compute_capability.lstrip("=>")
        yield f"its compute capability is {gpu.compute_capability}, and {words} {wanted} is asked for"


def _whole(part: Part, need: Need, mode: SharingMode, *, mps: bool) -> Iterator[str]:
    if mode == "mps" and not mps:
        yield MPS_OFF
    if mode in SHARED and not need.memory_mib:
        yield NO_MEMORY_NAMED
    yield from _kept([part])
    if part.holders and (part.mode != mode or mode not in SHARED):
        yield _taken(part, mode)
        return
    strangers = [_process(process) for process in part.strangers()]
    short = part.left_mib() < need.memory_mib
    if strangers and (mode == "exclusive" or short):
        yield f"in use by {_listed(strangers)}"
    if short:
        yield _shortage(part, need)
        if part.holders:
            yield f"held by {_listed([_holder(holder) for holder in part.holders])}"


def _taken(part: Part, mode: SharingMode) -> str:
    holders = _listed([_holder(holder) for holder in part.holders])
    if part.mode == "exclusive":
        return f"held by {holders} as a GPU of its own"
    how = "through MPS" if part.mode == "mps" else "in turns"
    return f"held by {holders}, shared {how}, and {WAYS[mode]} is asked for"


def _kept(parts: Sequence[Part]) -> list[str]:
    names = dict.fromkeys(part.kept.session or "another session" for part in parts if part.kept is not None)
    return [f"set aside for {name}, which waits for it" for name in names]


def _slices(gpu: Gpu, parts: Sequence[Part], need: Need) -> Iterator[str]:
    if need.count > 1:
        yield ONE_SLICE
    if not gpu.mig_enabled:
        yield "it is not split into MIG slices, and a slice is asked for"
        return
    if not parts:
        yield "MIG is on and it has no slices; `sudo nvidia-smi mig -cgi PROFILE -C` makes one"
        return
    yield from _kept(parts)
    held = [part for part in parts if part.holders]
    if len(held) == len(parts):
        yield _all_held(parts)
        return
    left = [part for part in parts if not part.holders and part.kept is None]
    quiet = [part for part in left if not part.strangers()]
    if left and not quiet:
        yield f"in use by {_listed([_process(process) for part in left for process in part.strangers()])}"
    if quiet and not any(part.left_mib() >= need.memory_mib for part in quiet):
        most = max(part.left_mib() for part in quiet)
        yield f"{_free(most, need)} are free in the largest of its {len(quiet)} MIG slices to be had"


def _all_held(parts: Sequence[Part]) -> str:
    holders = _listed([*dict.fromkeys(_holder(holder) for part in parts for holder in part.holders)])
    slices = f"all of its {len(parts)} MIG slices are" if len(parts) > 1 else "its MIG slice is"
    return f"{slices} held by {holders}"


def _shortage(part: Part, need: Need) -> str:
    unknown = part.total_mib is None or part.free_mib is None
    if unknown and part.holders:
        return "the driver does not tell its memory, so that it can be held once only"
    left = part.left_mib()
    return f"{_free(left, need)} are free" if left else "none of its memory is free"


def _free(free_mib: int, need: Need) -> str:
    free, asked = format_mib(free_mib), format_mib(need.memory_mib)
    same_unit = free.split()[1] == asked.split()[1]
    return f"{free.split()[0] if same_unit else free} of the {asked} asked"


def _holder(holder: Holding) -> str:
    whose = f"{holder.learner}/{holder.lab}" if holder.learner else holder.session or "another session"
    return f"{whose} until {holder.until.astimezone():%H:%M}" if holder.until else whose


def _process(process: GpuProcess) -> str:
    owner = f" of {process.owner}" if process.owner else ""
    memory = f", {format_mib(process.memory_mib)}" if process.memory_mib is not None else ""
    return f"{process.name or 'a process'}{owner} (pid {process.pid}{memory})"


def _listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`, `a, b, c and 4 others`."""
    shown = list(names[:MANY])
    if len(names) > MANY:
        more = len(names) - MANY
        shown.append(f"{more} other{'s' if more > 1 else ''}")
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
