"""What `doctor` says of GPUs. That a machine has none is no failure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from labctl.errors import LabctlError
from labctl.sessions.context import Context
from labctl.sessions.finding import Finding

if TYPE_CHECKING:
    from labctl.gpus.inventory import Gpu, Inventory
    from labctl.images.engine import EngineInfo

_HIDDEN = "whose processes use them cannot be told here, as in a container"


def inventory_of(ctx: Context) -> Inventory | LabctlError:
    """The GPUs of the runtime that is used when none is named, or why it cannot be asked."""
    try:
        return ctx.runtime(ctx.settings.runtime).gpus()
    except LabctlError as error:
        return error


def gpu_findings(found: Inventory | LabctlError) -> list[Finding]:
    """What `inventory_of` gave, as findings."""
    if isinstance(found, LabctlError):
        return [Finding(name="GPU", ok=False, detail=found.what, remedy=found.hint)]
    return list(findings(found))


def in_containers(found: Inventory | LabctlError, info: EngineInfo, *, is_wanted: bool) -> Iterator[Finding]:
    """Whether the engine can hand out the GPUs there are; nothing where there is none."""
    from labctl.runtimes.docker import toolkit

    gpus = () if isinstance(found, LabctlError) else found.gpus
    uuids = [each.uuid for gpu in gpus for each in (gpu.mig or (gpu,)) if each.uuid]
    problems = list(toolkit.problems(uuids, info))
    for problem in problems:
        yield Finding(name="GPUs in Docker", ok=False if is_wanted else None, detail=problem.what, remedy=problem.hint)
    if uuids and not problems:
        how = "by CDI name" if toolkit.by_cdi(uuids, info) else "through NVIDIA's container toolkit"
        yield Finding(name="GPUs in Docker", ok=True, detail=f"containers get them {how}")


def findings(inventory: Inventory) -> Iterator[Finding]:
    """A line for all of them, one for each that is ill or has a warning, and what there is to share them with. Pure."""
    if not inventory.gpus:
        detail = inventory.problem or f"{inventory.source} knows no GPU"
        yield Finding(name="GPU", ok=None, detail=detail, remedy="labs run with --profile cpu meanwhile")
        return
    yield Finding(name="GPU", ok=True, detail=_summary(inventory))
    for gpu in inventory.gpus:
        if gpu.health.reasons or not gpu.health.ok:
            yield _unwell(gpu)
    yield from _mig(inventory)
    yield _mps(inventory)


def _summary(inventory: Inventory) -> str:
    counts = Counter(gpu.name for gpu in inventory.gpus)
    names = ", ".join(f"{count} × {name}" if count > 1 else name for name, count in counts.items())
    facts = [names, f"driver {inventory.driver or 'unknown'}", f"CUDA {inventory.cuda or 'unknown'}"]
    processes = [process for gpu in inventory.gpus for process in gpu.processes or ()]
    if any(process.owner is None and process.name is None for process in processes):
        return f"{', '.join(facts)}; {_HIDDEN}"
    return ", ".join(facts)


def _unwell(gpu: Gpu) -> Finding:
    """One with a warning can be used."""
    what = "can be used, with a warning" if gpu.health.ok else "cannot be used"
    reasons = gpu.health.reasons or ("the driver reports trouble with it",)
    return Finding(name=f"GPU {gpu.index}", ok=None if gpu.health.ok else False, detail=what, remedy="; ".join(reasons))


def _mig(inventory: Inventory) -> Iterator[Finding]:
    for gpu in inventory.gpus:
        if gpu.mig:
            counts = Counter(part.profile or "a slice" for part in gpu.mig)
            slices = ", ".join(f"{count} × {profile}" for profile, count in counts.items())
            yield Finding(name="MIG", ok=True, detail=f"GPU {gpu.index}: {slices}")
        elif gpu.mig_enabled:
            remedy = "sudo nvidia-smi mig -cgi PROFILE -C makes one"
            yield Finding(name="MIG", ok=None, detail=f"GPU {gpu.index}: on, without slices", remedy=remedy)


def _mps(inventory: Inventory) -> Finding:
    """Only labs that share a GPU with limited memory need it."""
    if inventory.mps:
        return Finding(name="MPS", ok=True, detail="its daemon runs: GPUs can be shared with limited memory")
    remedy = "sudo nvidia-cuda-mps-control -d, for labs that ask for `sharing: mps`"
    return Finding(
        name="MPS", ok=None, detail="its daemon does not run, or not where this runtime reaches it", remedy=remedy
    )
