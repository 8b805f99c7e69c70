"""How many sessions of one lab fit on a host at once, and who waits for whom. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from labctl.gpus.allocation import Pool, refusal
from labctl.gpus.inventory import Allocation, Holding, Inventory
from labctl.gpus.need import Need
from labctl.units import format_mib

if TYPE_CHECKING:
    from labctl.cohorts.spec import Cohort

ProfileName = Literal["cpu", "gpu"]
Bound = Literal["memory", "cpus", "gpus", "maximum", "limits", "disk"]
"""What may keep a session from being started. `disk` keeps it away for good: files stay when a session has ended."""
_BEST_FIRST: tuple[ProfileName, ...] = ("gpu", "cpu")
PLENTY = 10**9
"""More sessions than anybody has: no bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What a machine can give to sessions: figures are of what nobody has yet, `holdings` of GPUs that somebody has."""

    cores: float
    memory_mib: int
    disk_mib: int
    inventory: Inventory
    holdings: tuple[Holding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What one session takes in a profile. `disk_mib` is needed once: environments, models, images."""

    memory_mib: int
    cpus: float
    disk_mib: int
    gpu: Need | None = None
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LabNeed:
    """A lab as the planner sees it: how long it takes, and its profiles."""

    lab: str
    minutes: int
    sizes: Mapping[ProfileName, Size]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Who works at the same time. `starts_s` is counted from the lab's beginning; `all_started_s` is when the last has
    a session, by the cohort's stagger."""

    starts_s: float
    all_started_s: float
    learners: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A lab that everybody does at about the same time.

    `seats` learners fit at once, `reserved` sessions beside them; `bounds` says for each resource how many sessions it
    carries. `bottleneck` names the scarcest in words, empty when all fit. `unseated` can never be given a session here.
    `gpu_hours` is for as long as the lab takes, `gpu_hours_most` should everybody stay until the ttl.
    """

    lab: str
    minutes: int
    profile: ProfileName
    size: Size
    seats: int
    reserved: int
    bounds: Mapping[Bound, int]
    bottleneck: str
    waves: tuple[Wave, ...]
    unseated: tuple[str, ...]
    disk_mib: int
    gpu_hours: float
    gpu_hours_most: float

    @property
    def all_at_once(self) -> bool:
        return len(self.waves) <= 1 and not self.unseated

    @property
    def waiting(self) -> tuple[str, ...]:
        """Those who get a session only when others have left."""
        return tuple(learner for wave in self.waves[1:] for learner in wave.learners)

    @property
    def lasts_s(self) -> float:
        """From the first start to the last end, if everybody takes as long as the lab says."""
        return len(self.waves) * self.minutes * 60.0


def plan_round(cohort: Cohort, learners: Sequence[str], lab: LabNeed, host: Host, disk_mib: int) -> Round:
    """The round of `lab` for `learners`, first come first served, with `disk_mib` of disk left for it."""
    wanted = len(learners) + cohort.sessions.reserved
    profile, size, held = _choose(cohort, lab, host, wanted)
    bounds = _bounds(cohort, size, host, len(held), disk_mib)
    at_once = min(number for bound, number in bounds.items() if bound != "disk")
    seats = max(0, min(at_once - cohort.sessions.reserved, len(learners)))
    seated = learners[: bounds["disk"]] if seats else ()
    hours = len(seated) * _fraction(held)
    return Round(
        lab=lab.lab,
        minutes=lab.minutes,
        profile=profile,
        size=size,
        seats=min(seats, len(seated)),
        reserved=min(cohort.sessions.reserved, at_once),
        bounds=bounds,
        bottleneck=_bottleneck(cohort, size, host, bounds, wanted, len(learners)),
        waves=_waves(cohort, seated, max(seats, 1), lab.minutes * 60.0),
        unseated=tuple(learners[len(seated) :]),
        disk_mib=size.disk_mib + len(learners) * cohort.limits.disk,
        gpu_hours=hours * lab.minutes / 60,
        gpu_hours_most=hours * max(cohort.ttl / 3600, lab.minutes / 60),
    )


def cpus_of(cohort: Cohort, size: Size) -> float:
    """The cores that a session may use."""
    return min(size.cpus, cohort.limits.cpus or size.cpus)


def _choose(cohort: Cohort, lab: LabNeed, host: Host, wanted: int) -> tuple[ProfileName, Size, list[Allocation]]:
    """The profile, the same for everybody, and the GPUs of as many sessions as can have some at once."""
    wish = cohort.profile
    chosen: list[ProfileName] = (
        [wish] if wish in lab.sizes and wish else [name for name in _BEST_FIRST if name in lab.sizes]
    )
    for name in chosen:
        size = lab.sizes[name]
        held = _taken(cohort, size, host, wanted)
        if len(held) == wanted or size.gpu is None or name == chosen[-1]:
            break
    return name, size, held


def _taken(cohort: Cohort, size: Size, host: Host, wanted: int) -> list[Allocation]:
    """What the first sessions get, until one gets nothing."""
    if size.gpu is None:
        return []
    pool, need = Pool(host.inventory, host.holdings), cohort.gpu.need(size.gpu)
    held = []
    for number in range(wanted):
        allocation = pool.take(need, f"seat {number}")
        if allocation is None:
            break
        held.append(allocation)
    return held


def _bounds(cohort: Cohort, size: Size, host: Host, on_gpus: int, disk_mib: int) -> dict[Bound, int]:
    """How many sessions each resource carries; of disk, for how many learners it lasts."""
    allowed = cohort.limits.memory is None or cohort.limits.memory >= size.memory_mib
    left = disk_mib - size.disk_mib
    bounds: dict[Bound, int] = {
        "memory": _fit(host.memory_mib, size.memory_mib),
        "cpus": _fit(host.cores * cohort.overcommit, cpus_of(cohort, size)),
        "maximum": PLENTY if cohort.sessions.maximum is None else cohort.sessions.maximum,
        "limits": PLENTY if allowed else 0,
        "disk": _fit(left, cohort.limits.disk) if left >= 0 else 0,
    }
    return bounds if size.gpu is None else {**bounds, "gpus": on_gpus}


def _fit(has: float, each: float) -> int:
    """How often `each` goes into `has`; a hair's breadth is forgiven, for decimals are not exact."""
    return PLENTY if each <= 0 else max(0, math.floor(has / each + 1e-9))


def _fraction(held: Sequence[Allocation]) -> float:
    """The GPUs that a session holds on average: half a GPU is 0.5, two are 2."""
    return sum(gpu.fraction for one in held for gpu in one.gpus) / len(held) if held else 0.0


def _waves(cohort: Cohort, seated: Sequence[str], seats: int, lasts_s: float) -> tuple[Wave, ...]:
    waves = []
    for number, first in enumerate(range(0, len(seated), seats)):
        learners = tuple(seated[first : first + seats])
        starts_s = number * lasts_s
        last_s = starts_s + cohort.stagger.delay_s(len(learners) - 1)
        waves.append(Wave(starts_s=starts_s, all_started_s=last_s, learners=learners))
    return tuple(waves)


def _bottleneck(cohort: Cohort, size: Size, host: Host, bounds: Mapping[Bound, int], wanted: int, learners: int) -> str:
    """The scarcest of what does not suffice, in words with figures; empty when everything does."""
    short = {bound: number for bound, number in bounds.items() if number < (learners if bound == "disk" else wanted)}
    if not short:
        return ""
    bound = min(short, key=lambda name: short[name])
    return {
        "memory": lambda: (
            f"memory: {_of(bounds['memory'])}, each of {format_mib(size.memory_mib)}, on {format_mib(host.memory_mib)}"
        ),
        "cpus": lambda: (
            f"CPU: {_of(bounds['cpus'])}, each of {cpus_of(cohort, size):g} cores, on {host.cores:g} that are promised "
            f"{cohort.overcommit:g} times"
        ),
        "gpus": lambda: _gpu_words(cohort, size, host, bounds["gpus"]),
        "maximum": lambda: f"sessions.maximum is {cohort.sessions.maximum}",
        "limits": lambda: (
            f"limits.memory is {format_mib(cohort.limits.memory or 0)}, and a session needs {format_mib(size.memory_mib)}"
        ),
        "disk": lambda: (
            f"disk: {format_mib(size.disk_mib)} once and {format_mib(cohort.limits.disk)} for each learner; "
            f"it lasts for {bounds['disk']} of {learners}"
        ),
    }[bound]()


def _of(sessions: int) -> str:
    """How many fit, each of what follows."""
    return f"{sessions} sessions fit" if sessions > 1 else f"{sessions or 'no'} session fits"


def _gpu_words(cohort: Cohort, size: Size, host: Host, sessions: int) -> str:
    asked = cohort.gpu.need(size.gpu or Need())
    if not sessions:
        return f"GPUs: {refusal(Pool(host.inventory, host.holdings), asked)}"
    each = "a GPU" if asked.count == 1 else f"{asked.count} GPUs"
    memory = f" of {format_mib(asked.memory_mib)}" if asked.memory_mib else ""
    count = len(host.inventory.gpus)
    return (
        f"GPUs: {_of(sessions)}, each with {each}{memory} ({asked.sharing}), on {count} GPU{'' if count == 1 else 's'}"
    )
