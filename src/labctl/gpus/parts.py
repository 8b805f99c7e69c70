"""What can be given away: a whole GPU, or a MIG slice of one, with everybody who holds it. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from labctl.gpus.inventory import Gpu, GpuProcess, HeldGpu, Holding, MigInstance, SharingMode
from labctl.gpus.need import Need

UNKNOWN_MIB = 2**60
"""Stands for memory that the driver does not tell: enough for whoever comes first."""
SHARED: frozenset[SharingMode] = frozenset({"mps", "timeslice"})
MPS_SERVER = "nvidia-cuda-mps"
"""The service itself stays on a GPU after its last client; it is nobody's work. The kernel cuts names at 15 characters."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What `session` is to get of a part, in `mode`, once the sessions `leaving` have left it."""

    session: str
    mode: SharingMode
    memory_mib: int
    leaving: frozenset[str] = frozenset()


@dataclass(slots=True, eq=False)
class Part:
    """A whole GPU, or one MIG slice of it (`mig`). `order` breaks ties; `kept` tells for whom it is set aside."""

    gpu: Gpu
    order: int
    mig: MigInstance | None = None
    kept: Kept | None = None
    holders: list[Holding] = field(default_factory=list)
    uuid: str = field(init=False)
    total_mib: int | None = field(init=False)
    free_mib: int | None = field(init=False)
    processes: tuple[GpuProcess, ...] = field(init=False)
    used_mib: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        part = self.mig or self.gpu
        self.uuid = part.uuid
        self.total_mib, self.free_mib = part.memory_total_mib, part.memory_free_mib
        self.processes = part.processes or ()
        self.used_mib = {}
        for process in self.processes:
            if process.session is not None:
                used = self.used_mib.get(process.session, 0)
                self.used_mib[process.session] = used + (process.memory_mib or 0)

    @property
    def mode(self) -> SharingMode | None:
        """How it is held; None when nobody holds it."""
        modes = {holder.gpu.sharing for holder in self.holders}
        return "exclusive" if "exclusive" in modes else min(modes, default=None)

    def left_mib(self, without: Collection[str] = ()) -> int:
        """Memory that nobody holds or uses, had the sessions `without` left already; 0 when a second share is a guess.

        A holder may still fill its share: what it does not use yet is no more to be had than what it does.
        """
        shares: dict[str, int] = {}
        for holder in self.holders:
            if holder.session not in without:
                share = holder.gpu.memory_mib
                if share is None or self.total_mib is None or self.free_mib is None:
                    return 0
                shares[holder.session] = shares.get(holder.session, 0) + share
        left = UNKNOWN_MIB
        if self.total_mib is not None:
            left = self.total_mib - sum(shares.values())
        if self.free_mib is not None:
            gone = {holder.session for holder in self.holders if holder.session in without}
            returned = sum(self.used_mib.get(session, 0) for session in gone)
            unused = sum(max(0, share - self.used_mib.get(session, 0)) for session, share in shares.items())
            left = min(left, self.free_mib + returned - unused)
        return max(0, left)

    def room_mib(self) -> int:
        """What a newcomer may have: of a part that is set aside no more than what is over when its time has come."""
        left = self.left_mib()
        if self.kept is None:
            return left
        if self.kept.mode not in SHARED or self.mode != self.kept.mode:
            return 0
        return min(left, max(0, self.left_mib(self.kept.leaving) - self.kept.memory_mib))

    def strangers(self) -> list[GpuProcess]:
        """The processes of nobody who holds it."""
        if not self.processes:
            return []
        known = {holder.session for holder in self.holders}
        return [
            process
            for process in self.processes
            if (process.session is None or process.session not in known) and MPS_SERVER not in (process.name or "")
        ]

    def held(self, need: Need, mode: SharingMode) -> HeldGpu:
        """What a session holds that gets this for `need`."""
        name = self.gpu.name
        if self.mig is not None:
            name += f" MIG {self.mig.profile}" if self.mig.profile else " MIG slice"
        share = need.memory_mib if mode in SHARED else self.total_mib
        return HeldGpu(uuid=self.uuid, name=name, memory_mib=share, sharing=mode, total_mib=self.total_mib)


def parts_of(gpu: Gpu, order: int) -> list[Part]:
    """What `gpu` can be given away as; a split GPU only in slices. `order` numbers the first."""
    if not gpu.mig_enabled:
        return [Part(gpu, order)]
    slices = [part for part in gpu.mig if part.uuid]
    return [Part(gpu, order + number, part) for number, part in enumerate(slices)]


def sound(part: Part) -> bool:
    """Whether the driver can open it and reports no trouble."""
    return part.gpu.health.ok and bool(part.uuid)


def capable(has: str | None, need: Need) -> bool:
    """Whether a GPU of compute capability `has` can do; one that the driver does not tell can."""
    if need.compute_capability is None or has is None:
        return True
    wanted = version(need.compute_capability.lstrip("=>"))
    return version(has) == wanted if need.compute_capability.startswith("==") else version(has) >= wanted


def version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def possible(part: Part, need: Need, mode: SharingMode, *, mps: bool) -> bool:
    """Whether `part` could ever serve `need` in `mode`, whoever holds it now."""
    if not sound(part) or not capable(part.gpu.compute_capability, need) or (part.mig is not None) != (mode == "mig"):
        return False
    if mode == "mig":
        return need.count == 1
    return mode not in SHARED or (need.memory_mib > 0 and (mode != "mps" or mps))


def fits(part: Part, need: Need, mode: SharingMode, *, mps: bool) -> bool:
    """Whether `part` can serve `need` in `mode` now."""
    if part.kept is not None and (mode not in SHARED or not part.room_mib()):
        return False
    return _serves(part, need, mode, part.room_mib(), (), mps=mps)


def would_fit(part: Part, need: Need, mode: SharingMode, leaving: Collection[str], *, mps: bool) -> bool:
    """Whether `part` could serve `need` in `mode`, had the sessions `leaving` left and nothing were set aside."""
    return _serves(part, need, mode, part.left_mib(leaving), leaving, mps=mps)


def _serves(part: Part, need: Need, mode: SharingMode, left_mib: int, leaving: Collection[str], *, mps: bool) -> bool:
    if not possible(part, need, mode, mps=mps) or left_mib < need.memory_mib:
        return False
    others = any(holder.session not in leaving for holder in part.holders)
    if mode in SHARED:
        return not others or part.mode == mode
    return not others and not part.strangers()
