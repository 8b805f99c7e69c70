"""GPUs as labctl speaks of them, whoever was asked: NVML on this host, a container engine, a cluster's nodes.

`None` means the driver does not say; it never means zero, and unknown is never a failure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

SharingMode = Literal["exclusive", "mig", "mps", "timeslice"]
LinkLevel = Literal["nvlink", "board", "switch", "switches", "bridge", "node", "system"]
"""nvmlGpuTopologyLevel_t in words: one board, one PCIe switch, several, one host bridge, one NUMA node, the system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """`ok` is False only when the driver reports trouble; `reasons` are sentences with the remedy in them.

    Reasons with `ok` are warnings: the GPU can be used, only slower.
    """

    ok: bool = True
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuProcess:
    """Somebody computing on a GPU. `pid` is the host's; `owner` is None where it cannot be known.

    `session` is the labctl session that its environment names; None for everybody else and where it cannot be read.
    """

    pid: int
    memory_mib: int | None = None
    name: str | None = None
    owner: str | None = None
    session: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensors:
    """What a GPU feels right now. Percentages are of the driver's last sample; `energy_j` counts since the driver was loaded.

    `xid` is the newest critical error number that the kernel's log holds for it.
    """

    utilization_percent: int | None = None
    memory_utilization_percent: int | None = None
    temperature_c: int | None = None
    power_w: float | None = None
    energy_j: float | None = None
    sm_clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    pcie_replays: int | None = None
    ecc_corrected: int | None = None
    ecc_uncorrected: int | None = None
    xid: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MigInstance:
    """A MIG slice of a GPU with its own memory, for example profile 1g.10gb."""

    uuid: str
    profile: str | None = None
    memory_total_mib: int | None = None
    memory_free_mib: int | None = None
    processes: tuple[GpuProcess, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU. `index` is the driver's order, which is not CUDA's and changes between boots: keep UUIDs.

    `uuid` is empty for a GPU that the driver counts and cannot open; its health says why. `integrated` means that it
    has no memory of its own: the figures are the machine's. With `mig_enabled` only its slices in `mig` can be used.
    `processes` is None where the driver does not tell them (WSL, vGPU), which is not the same as nobody. `virtual` is
    a share of a GPU that a hypervisor hands out. `pci` is its bus id, as in `0000:17:00.0`.
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
    processes: tuple[GpuProcess, ...] | None = ()
    virtual: bool = False
    pci: str | None = None
    sensors: Sensors = Sensors()


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """How fast two GPUs reach each other. `level`: nvlink; the nearest thing both hang on otherwise, best first."""

    a: str
    b: str
    level: LinkLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """Every GPU that was found, and who was asked. `problem` says why there is none to see, with the remedy.

    `links` names each pair of GPUs at most once, by UUID; a pair that is missing is as far apart as can be. `mps` tells
    whether NVIDIA's multi-process service runs and can be reached by what this runtime starts.
    """

    source: str
    gpus: tuple[Gpu, ...] = ()
    links: tuple[Link, ...] = ()
    mps: bool = False
    driver: str | None = None
    cuda: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldGpu:
    """A GPU, or a MIG slice of one, that a session holds. `memory_mib` is its share, of `total_mib`; None is unknown."""

    uuid: str
    name: str
    memory_mib: int | None
    sharing: SharingMode
    total_mib: int | None = None

    @property
    def fraction(self) -> float:
        """The share of the GPU's (or the slice's) memory, above 0 and at most 1; 1 where it is its own or unknown."""
        if self.sharing in ("exclusive", "mig") or not self.memory_mib or not self.total_mib:
            return 1.0
        return min(1.0, self.memory_mib / self.total_mib)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """What a session holds."""

    gpus: tuple[HeldGpu, ...]

    @property
    def fraction(self) -> float:
        """The smallest share among its GPUs: what a program may plan with on each of them."""
        return min((gpu.fraction for gpu in self.gpus), default=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One GPU that a session holds, as others see it. `until` is when the session expires at the latest."""

    session: str
    lab: str
    learner: str
    gpu: HeldGpu
    until: datetime | None = None
