"""GPUs as labctl speaks of them, whoever was asked: NVML on this host, a container engine, a cluster's nodes.

`None` means the driver does not say; it never means zero, and unknown is never a failure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SharingMode = Literal["exclusive", "mig", "mps", "timeslice"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """`ok` is False only when the driver reports trouble; `reasons` are sentences with the remedy in them.

    Reasons with `ok` are warnings: the GPU can be used, only slower.
    """

    ok: bool = True
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuProcess:
    """Somebody computing on a GPU. `pid` is the host's; `owner` is None where it cannot be known."""

    pid: int
    memory_mib: int | None = None
    name: str | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MigInstance:
    """A MIG slice of a GPU with its own memory, for example profile 1g.10gb."""

    uuid: str
    profile: str | None = None
    memory_total_mib: int | None = None
    memory_free_mib: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU. `index` is the driver's order, which is not CUDA's and changes between boots: keep UUIDs.

    `uuid` is empty for a GPU that the driver counts and cannot open; its health says why. `integrated` means that it
    has no memory of its own: the figures are the machine's. With `mig_enabled` only its slices in `mig` can be used.
    """

    index: int
    uuid: str
    name: str
    memory_total_mib: int | None = None
    memory_free_mib: int | None = None
    compute_capability: str | None = None
    integrated: bool = False
    mig_enabled: bool = False
    mig: tuple[MigInstance, ...] = ()
    health: Health = Health()
    processes: tuple[GpuProcess, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """Every GPU that was found, and who was asked. `problem` says why there is none to see, with the remedy."""

    source: str
    gpus: tuple[Gpu, ...] = ()
    driver: str | None = None
    cuda: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldGpu:
    """A GPU, or a MIG slice of one, that a session holds."""

    uuid: str
    name: str
    memory_mib: int | None
    sharing: SharingMode


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """What a session holds."""

    gpus: tuple[HeldGpu, ...]
