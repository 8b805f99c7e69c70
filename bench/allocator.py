"""How long one request for GPUs takes, whatever the number of GPUs. Pure: nothing is started and no GPU is needed."""

from __future__ import annotations

import random
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

from labctl.gpus.allocation import Pool
from labctl.gpus.inventory import Allocation, Gpu, HeldGpu, Holding, Inventory, Link, MigInstance
from labctl.gpus.need import Need, Sharing

SIZES = (100, 1000)
REQUESTS = 10_000
TURNS = 3
GIB = 1024
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
Give = Callable[[Need, str], Allocation | None]
Back = Callable[[str], None]


def allocator(_: Path) -> dict[str, Any]:
    """Aims: under 1 ms a request with 1,000 GPUs, and at most ten times the time for ten times the GPUs.

    The floor beside it is first-fit as it is written in ten lines: the first GPU whose memory is not all promised, which
    knows neither modes nor strangers nor topology and packs nothing.
    """
    figures: dict[str, Any] = {"requests": REQUESTS}
    for count in SIZES:
        inventory = a_cluster(count)
        times: dict[str, list[list[float]]] = {"pool": [], "first_fit": []}
        for _turn in range(TURNS):
            pool = Pool(inventory)
            times["pool"].append(list(serve(pool.take, pool.give_back, count)))
            plain = FirstFit(inventory)
            times["first_fit"].append(list(serve(plain.take, plain.give_back, count)))
        figures[f"{count}_gpus"] = _figures(times) | _others(inventory)
    small, large = (figures[f"{count}_gpus"] for count in SIZES)
    figures["growth_ratio"] = round(large["pool_ms"] / small["pool_ms"], 2)
    return figures


def _figures(times: dict[str, list[list[float]]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, turns in times.items():
        found[f"{name}_ms"] = round(min(statistics.fmean(turn) for turn in turns) * 1000, 4)
        found[f"{name}_over_1_ms"] = min(sum(each > 0.001 for each in turn) for turn in turns)
        found[f"{name}_p99_ms"] = round(min(statistics.quantiles(turn, n=100)[98] for turn in turns) * 1000, 4)
    return found | {"to_first_fit_ratio": round(found["pool_ms"] / found["first_fit_ms"], 2)}


def _others(inventory: Inventory) -> dict[str, float]:
    """What a command pays once: a pool of an inventory that is all held, a refusal in words, a reservation."""
    pool = Pool(inventory)
    need = Need(memory_mib=24 * GIB, sharing="timeslice")
    held: list[Holding] = []
    while taken := pool.take(need, f"{len(held)}"):
        gpu, name = taken.gpus[0], f"{len(held)}"
        until = NOON + timedelta(minutes=len(held))
        held.append(Holding(session=name, lab="lab", learner=name, gpu=gpu, until=until))
    return {
        "holdings": len(held),
        "build_ms": _ms(lambda: Pool(inventory, held)),
        "refusal_in_words_ms": _ms(lambda: pool.why_not(need)),
        "reservation_ms": _ms(lambda: pool.reserve(need, "first")),
    }


def _ms(act: Callable[[], object], turns: int = 5) -> float:
    took = []
    for _ in range(turns):
        begun = time.perf_counter()
        act()
        took.append(time.perf_counter() - begun)
    return round(min(took) * 1000, 3)


def serve(give: Give, back: Back, count: int) -> Iterator[float]:
    """Seconds of each request and of the giving back that made room for it; the same requests for everybody."""
    chance = random.Random(4)
    sessions: deque[str] = deque()
    for number in range(REQUESTS):
        name, need = f"session-{number}", a_wish(chance)
        leaving = sessions.popleft() if len(sessions) > 2 * count else None
        begun = time.perf_counter()
        if leaving is not None:
            back(leaving)
        given = give(need, name)
        yield time.perf_counter() - begun
        if given is not None:
            sessions.append(name)


def a_wish(chance: random.Random) -> Need:
    """Mostly shares of 5 to 40 GiB; some slices, some whole GPUs, one in twenty for several."""
    sharing: Sharing = chance.choices(("timeslice", "any", "mig", "exclusive"), (50, 30, 10, 10))[0]
    count = chance.choice((2, 4)) if chance.random() < 0.05 and sharing != "mig" else 1
    return Need(count=count, memory_mib=chance.choice((5, 8, 12, 24, 40)) * GIB, sharing=sharing)


def a_cluster(count: int) -> Inventory:
    """Hosts of 8 GPUs that are all linked; every fifth host's GPUs are split, and the kinds differ from host to host."""
    gpus = [_a_gpu(index) for index in range(count)]
    hosts = [gpus[first : first + 8] for first in range(0, count, 8)]
    links = [Link(a=a.uuid, b=b.uuid, level="nvlink") for host in hosts for a, b in combinations(host, 2)]
    return Inventory(source="bench", gpus=tuple(gpus), links=tuple(links))


def _a_gpu(index: int) -> Gpu:
    host = index // 8
    total = (80, 80, 40, 24)[host % 4] * GIB
    slices = tuple(
        MigInstance(uuid=f"MIG-{index}-{part}", memory_total_mib=total // 4, memory_free_mib=total // 4)
        for part in range(4)
    )
    split = host % 5 == 4
    return Gpu(
        index=index,
        uuid=f"GPU-{index}",
        name="GPU",
        memory_total_mib=total,
        memory_free_mib=total - index % 7 * 100,
        compute_capability=("8.0", "9.0")[host % 2],
        mig_enabled=split,
        mig=slices if split else (),
    )


@dataclass(slots=True)
class FirstFit:
    """Memory of whole GPUs, first come, first fit."""

    inventory: Inventory
    left: dict[str, int] = field(init=False)
    held: dict[str, list[tuple[str, int]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.left = {gpu.uuid: gpu.memory_free_mib or 0 for gpu in self.inventory.gpus if not gpu.mig_enabled}

    def take(self, need: Need, session: str) -> Allocation | None:
        fit = []
        for uuid, left in self.left.items():
            if left >= need.memory_mib:
                fit.append(uuid)
                if len(fit) == need.count:
                    break
        else:
            return None
        for uuid in fit:
            self.left[uuid] -= need.memory_mib
        self.held[session] = [(uuid, need.memory_mib) for uuid in fit]
        held = (HeldGpu(uuid=uuid, name="GPU", memory_mib=need.memory_mib, sharing="timeslice") for uuid in fit)
        return Allocation(gpus=tuple(held))

    def give_back(self, session: str) -> None:
        for uuid, memory_mib in self.held.pop(session, []):
            self.left[uuid] += memory_mib
