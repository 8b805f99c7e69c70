"""A class on 8 GPUs of 80 GiB, minute by minute: who computes and who waits, under several ways of giving out GPUs.

The class is bench/traces/classroom.csv, and for the spread four more of its kind; see bench/class_trace.py, which says
what is made up. Whoever wants to compute and has no GPU waits, and goes on with the same work when one comes; at the end
of the class, or when the learner goes home, what is not done is lost. Each new GPU costs two minutes in which services
start. Memory is all that is shared: whether two who compute on one GPU slow each other down is not simulated, so a
minute served on a shared GPU is a minute with a GPU, not the work that a GPU of one's own would do in it.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

from bench.class_trace import CLASS_MIN, SEED, Row, a_class, read
from labctl.gpus.allocation import Pool
from labctl.gpus.inventory import Allocation, Gpu, Holding, Inventory, SharingMode
from labctl.gpus.need import Need

GPUS = 8
GPU_GIB = 80
STARTUP_MIN = 2
SEEDS = (SEED, 2, 3, 4, 5)
TIMEOUTS_MIN = (5, 15, 30, 60)
IDLE_MIN = 5
GIB = 1024
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
INVENTORY = Inventory(
    source="bench",
    gpus=tuple(
        Gpu(
            index=index,
            uuid=f"GPU-{index}",
            name="GPU",
            memory_total_mib=GPU_GIB * GIB,
            memory_free_mib=GPU_GIB * GIB,
        )
        for index in range(GPUS)
    ),
)


@dataclass(slots=True)
class Request:
    """A session that waits for a GPU, or holds one. `blocked` counts the minutes in which it kept its learner from computing."""

    name: str
    gib: int
    blocked: int = 0
    starting: int = STARTUP_MIN
    active_at: int = 0
    given: Allocation | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """`pick` is given who holds and who waits, and gives GPUs to those who can have them.

    After `idle_min` without use they go back, after `wanted_min` while somebody waits.
    """

    pick: Callable[[Sequence[Request], Sequence[Request]], None]
    idle_min: int | None = None
    wanted_min: int | None = None


@dataclass(slots=True)
class Learner:
    """Lives through its rows; `left` minutes of the first of them are still to come."""

    rows: list[Row]
    arrives: int
    leaves: int
    left: int = 0
    session: str = ""


@dataclass(slots=True)
class Class:
    """A class under one policy, and what has been seen of it."""

    policy: Policy
    learners: list[Learner]
    held: dict[str, Request] = field(default_factory=dict)
    waiting: dict[str, Request] = field(default_factory=dict)
    waits: list[tuple[int, int]] = field(default_factory=list)
    served: int = 0
    computing_gib: int = 0
    held_gib: int = 0
    reclaimed: int = 0

    def minute(self, now: int) -> None:
        self._reclaim(now)
        for learner in self.learners:
            if learner.arrives <= now < learner.leaves:
                self._open(learner)
        self.policy.pick(list(self.held.values()), list(self.waiting.values()))
        for request in [each for each in self.waiting.values() if each.given]:
            del self.waiting[request.name]
            self.held[request.name] = request
            self.waits.append((request.blocked, request.gib))
            request.active_at = now
        self.held_gib += sum(request.gib for request in self.held.values())
        for learner in self.learners:
            if learner.arrives <= now < learner.leaves:
                self._work(learner, now)
            elif now >= learner.leaves and learner.session in self.waiting:
                gone = self.waiting.pop(learner.session)
                self.waits.append((gone.blocked, gone.gib))

    def _open(self, learner: Learner) -> None:
        """Come to the next row that takes time, starting and ending sessions on the way; ask for a GPU that is missing."""
        while learner.rows and learner.left == 0:
            row = learner.rows[0]
            if row.doing == "up":
                learner.session = f"{row.learner}/{row.lab}"
                self.waiting[learner.session] = Request(learner.session, row.memory_gib)
            elif row.doing == "down":
                self.held.pop(learner.session, None)
                self.waiting.pop(learner.session, None)
            learner.left = row.minutes
            if learner.left:
                break
            learner.rows.pop(0)
        if learner.rows and learner.rows[0].doing == "compute" and not self._known(learner.session):
            self.waiting[learner.session] = Request(learner.session, learner.rows[0].memory_gib)

    def _known(self, session: str) -> bool:
        return session in self.held or session in self.waiting

    def _reclaim(self, now: int) -> None:
        idle_min = self.policy.wanted_min if self.waiting and self.policy.wanted_min else self.policy.idle_min
        if idle_min is None:
            return
        for request in list(self.held.values()):
            if now - request.active_at >= idle_min:
                del self.held[request.name]
                self.reclaimed += 1

    def _work(self, learner: Learner, now: int) -> None:
        if not learner.rows:
            return
        doing, request = learner.rows[0].doing, self.held.get(learner.session)
        if doing in ("edit", "compute") and request:
            request.active_at = now
        if doing == "compute":
            if request is None:
                self.waiting[learner.session].blocked += 1
                return
            if request.starting:
                request.starting -= 1
                return
            self.served += 1
            self.computing_gib += request.gib
        learner.left -= 1
        if learner.left == 0:
            learner.rows.pop(0)


def one_gpu_each(held: Sequence[Request], waiting: Sequence[Request]) -> None:
    """A whole GPU for each session, first come first served, until the session ends."""
    pool = Pool(INVENTORY, _holdings(held))
    for request in waiting:
        request.given = pool.take(Need(memory_mib=request.gib * GIB), request.name)


def first_fit(held: Sequence[Request], waiting: Sequence[Request]) -> None:
    """A share of the first GPU with enough memory left, for whoever comes first of those who fit, until the session ends."""
    left = dict.fromkeys((gpu.uuid for gpu in INVENTORY.gpus), GPU_GIB)
    for request in held:
        for gpu in request.given.gpus if request.given else ():
            left[gpu.uuid] -= request.gib
    for request in waiting:
        uuid = next((uuid for uuid, gib in left.items() if gib >= request.gib), None)
        if uuid is not None:
            left[uuid] -= request.gib
            only = Inventory(source="bench", gpus=tuple(gpu for gpu in INVENTORY.gpus if gpu.uuid == uuid))
            request.given = Pool(only).take(_share(request))


def labctl(held: Sequence[Request], waiting: Sequence[Request]) -> None:
    """What labctl does: the queue in order, each given its share or what will be free soonest set aside for it."""
    pool = Pool(INVENTORY, _holdings(held))
    for request in waiting:
        request.given = pool.reserve(_share(request), request.name)


def a_gpu_for_everybody(_: Sequence[Request], waiting: Sequence[Request]) -> None:
    """As if there were no end of GPUs: the most that could be served."""
    for request in waiting:
        request.given = Pool(INVENTORY).take(_share(request))


def _share(request: Request) -> Need:
    sharing: SharingMode = "timeslice"
    return Need(memory_mib=request.gib * GIB, sharing=sharing)


def _holdings(held: Sequence[Request]) -> list[Holding]:
    until = NOON + timedelta(minutes=CLASS_MIN)
    return [
        Holding(session=request.name, lab="lab", learner=request.name, gpu=gpu, until=until)
        for request in held
        for gpu in (request.given.gpus if request.given else ())
    ]


def simulate(rows: Sequence[Row], policy: Policy) -> dict[str, float]:
    """One class under one policy."""
    room = Class(policy, [_learner(list(own)) for _, own in groupby(rows, key=lambda row: row.learner)])
    for now in range(CLASS_MIN):
        room.minute(now)
    ended = [*room.waits, *((request.blocked, request.gib) for request in room.waiting.values())]
    waits = sorted(minutes for minutes, _ in ended)
    large = [minutes for minutes, gib in ended if gib > GPU_GIB / 2]
    capacity = GPUS * GPU_GIB * CLASS_MIN
    return {
        "served_min": room.served,
        "waited_min": sum(waits),
        "wait_mean_min": round(statistics.fmean(waits), 1),
        "wait_p95_min": waits[int(len(waits) * 0.95)],
        "wait_mean_of_large_min": round(statistics.fmean(large), 1),
        "memory_held_percent": round(100 * room.held_gib / capacity, 1),
        "memory_computing_percent": round(100 * room.computing_gib / capacity, 1),
        "reclaimed": room.reclaimed,
    }


def _learner(rows: list[Row]) -> Learner:
    first, *own, last = rows
    return Learner(rows=own, arrives=first.minutes, leaves=last.minutes)


OURS = "labctl"
POLICIES = {
    "one_gpu_each": Policy(one_gpu_each),
    "first_fit": Policy(first_fit),
    OURS: Policy(labctl, 60, wanted_min=IDLE_MIN),
    **{f"labctl_idle_{minutes}_min": Policy(labctl, minutes) for minutes in TIMEOUTS_MIN},
    "labctl_never_reclaims": Policy(labctl),
    f"first_fit_idle_{IDLE_MIN}_min": Policy(first_fit, IDLE_MIN),
    "a_gpu_for_everybody": Policy(a_gpu_for_everybody),
}
"""`labctl` is its default: GPUs go back after an hour, and after 5 minutes while somebody waits. Those after it tell apart what
reclaiming brings and what queue and packing bring; the last is the most that can be had."""


def classroom(_: Path) -> dict[str, Any]:
    """Aims: 3 times the minutes served of one GPU each, 1.2 times those of first-fit. Other time-outs stand beside it."""
    figures: dict[str, Any] = {"gpus": GPUS, "gpu_gib": GPU_GIB}
    for seed in SEEDS:
        rows = read() if seed == SEED else a_class(seed)
        figures[f"class_{seed}"] = {name: simulate(rows, policy) for name, policy in POLICIES.items()}
        print(f"class {seed}", *_table(figures[f"class_{seed}"]), sep="\n")
    for name in ("one_gpu_each", "first_fit", "a_gpu_for_everybody"):
        figures |= _ratios([figures[f"class_{seed}"] for seed in SEEDS], name)
    return figures


def _ratios(classes: Sequence[dict[str, dict[str, float]]], to: str) -> dict[str, dict[str, float]]:
    """Minutes served in proportion to those under `to`: mean over the classes, least and most."""
    found = {}
    for ours in (OURS, *(f"labctl_idle_{minutes}_min" for minutes in TIMEOUTS_MIN)):
        ratios = [seen[ours]["served_min"] / seen[to]["served_min"] for seen in classes]
        found[f"{ours}_to_{to}_ratio"] = {
            "mean": round(statistics.fmean(ratios), 2),
            "least": round(min(ratios), 2),
            "most": round(max(ratios), 2),
        }
    return found


def _table(seen: dict[str, dict[str, float]]) -> list[str]:
    names = list(next(iter(seen.values())))
    head = f"{'':26}" + "".join(f"{name.removesuffix('_min').replace('_percent', '_%'):>20}" for name in names)
    return [head, *(f"{policy:26}" + "".join(f"{row[name]:>20}" for name in names) for policy, row in seen.items())]
