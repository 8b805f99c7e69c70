"""What a program is told of the GPUs it gets, in environment variables: the same on every runtime. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labctl.gpus.inventory import Allocation, HeldGpu

HIDDEN = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": ""}
"""For a process that shares its host with GPUs that are not meant for it."""
_NAMES = (
    *HIDDEN,
    *("LABCTL_GPU_FRACTION", "LABCTL_GPU_MEMORY_MIB", "PYTORCH_ALLOC_CONF", "XLA_PYTHON_CLIENT_MEM_FRACTION"),
    *("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT", "NVIDIA_VISIBLE_DEVICES"),
)


def environment(allocation: Allocation | None) -> dict[str, str]:
    """The variables for whoever gets `allocation`; none without one.

    On a GPU that is shared they ask frameworks to stay within the share, which binds only those that read them: PyTorch
    from 2.9 on, JAX. Under MPS the driver holds every program to it.
    """
    if allocation is None or not allocation.gpus:
        return {}
    fraction = _down(allocation.fraction)
    values = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "LABCTL_GPU_FRACTION": fraction}
    memory = min(gpu.memory_mib or 0 for gpu in allocation.gpus)
    if memory:  # what is unknown is left out: 0 would be something else
        values["LABCTL_GPU_MEMORY_MIB"] = str(memory)
    modes = {gpu.sharing for gpu in allocation.gpus}
    if modes & {"mps", "timeslice"}:
        values["PYTORCH_ALLOC_CONF"] = f"per_process_memory_fraction:{fraction}"
        values["XLA_PYTHON_CLIENT_MEM_FRACTION"] = fraction
    return {**values, **_under_mps(allocation)} if "mps" in modes else values


def visible(allocation: Allocation | None) -> dict[str, str]:
    """The same for a process of this host, where CUDA_VISIBLE_DEVICES chooses the GPUs: by UUID, for numbers change."""
    uuids = ",".join(gpu.uuid for gpu in allocation.gpus) if allocation else ""
    return {**environment(allocation), **HIDDEN, "CUDA_VISIBLE_DEVICES": uuids}


def without(environment: Mapping[str, str]) -> dict[str, str]:
    """What is left when nothing is said of GPUs: before others are told of."""
    return {name: value for name, value in environment.items() if name not in _NAMES}


def borrowed(gpus: Sequence[HeldGpu]) -> Allocation | None:
    """What a job holds for as long as it runs."""
    from labctl.gpus.inventory import Allocation

    return Allocation(gpus=tuple(gpus)) if gpus else None


def _under_mps(allocation: Allocation) -> dict[str, str]:
    """NVIDIA MPS documentation, "Environment Variables": limits are `ordinal=size`, ordinals those that the program sees."""
    limits = [f"{n}={gpu.memory_mib}M" for n, gpu in enumerate(allocation.gpus) if gpu.memory_mib]
    percent = max(1, math.floor(allocation.fraction * 100))
    values = {"CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": str(percent)}
    return {**values, "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT": ",".join(limits)} if limits else values


def _down(fraction: float) -> str:
    """Rounded down: shares must not add up to more than a GPU."""
    return str(math.floor(fraction * 10_000) / 10_000)
