"""Inventories and wishes that hypothesis makes up: split, ill, warned, unknown and used GPUs among them.

Whatever is chosen from a list is chosen by one number, which is quick to draw and shrinks to the plainest, the first.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import combinations, product
from typing import Any, get_args

from hypothesis import strategies as st

from labctl.gpus.inventory import Gpu, GpuProcess, Health, Inventory, Link, LinkLevel, MigInstance
from labctl.gpus.need import Isolation, Need, Sharing, modes

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SESSIONS = ("ada", "bob", "cy", "di", "eve")
MEMORY: tuple[tuple[int | None, int | None], ...] = (
    *((mib, mib) for mib in (20, 20, 12, 10, 5)),
    *((20, 19), (20, 14), (12, 7), (0, 0)),
    *((20, None), (None, 20), (None, None)),
)
"""Total and free. Small figures, so that cases touch their limits often."""
USE: tuple[tuple[GpuProcess, ...] | None, ...] = (
    *((),) * 10,
    None,
    (GpuProcess(pid=1, memory_mib=6),),
    (GpuProcess(pid=1), GpuProcess(pid=2, memory_mib=1)),
)
OURS = (*USE, *((GpuProcess(pid=3, memory_mib=mib, session=name),) for name in SESSIONS[:2] for mib in (4, 9, None)))
HEALTH = (*((True, ()),) * 6, (True, ("hot",)), (False, ("lost",)), (False, ()))
CAPABILITIES = ("9.0", "9.0", "8.0", "10.0", "7.5", None)
LEVELS: tuple[LinkLevel | None, ...] = (None, *get_args(LinkLevel))


def chosen(number: int, *choices: tuple[Any, ...]) -> list[Any]:
    """One of each of `choices`, read from `number` as from a number whose digits have those bases."""
    picked = []
    for choice in choices:
        number, at = divmod(number, len(choice))
        picked.append(choice[at])
    return picked


def a_gpu(index: int, number: int, use: tuple[tuple[GpuProcess, ...] | None, ...]) -> Gpu:
    split, (ok, reasons), capability, *parts = chosen(
        number, (None, None, None, 0, 1, 2, 3), HEALTH, CAPABILITIES, *(MEMORY, use) * 4
    )
    (total, free), processes = parts[:2]
    slices = tuple(
        MigInstance(uuid=f"MIG-{index}-{at}", memory_total_mib=mib[0], memory_free_mib=mib[1], processes=processes)
        for at, (mib, processes) in enumerate(zip(parts[2::2], parts[3::2], strict=True))
    )
    return Gpu(
        index=index,
        uuid=f"GPU-{index}" if ok or reasons else "",
        name="H100",
        memory_total_mib=total,
        memory_free_mib=free,
        compute_capability=capability,
        mig_enabled=split is not None,
        mig=slices[: split or 0],
        health=Health(ok=ok, reasons=reasons),
        processes=processes,
    )


@st.composite
def inventories(draw: st.DrawFn, *, least: int = 0, most: int = 5, sessions: bool = True) -> Inventory:
    """`sessions`: whether some of the processes belong to labctl's sessions."""
    numbers = draw(st.lists(st.integers(0, 2**52), min_size=least, max_size=most))
    gpus = tuple(a_gpu(index, number, OURS if sessions else USE) for index, number in enumerate(numbers))
    pairs = list(combinations([gpu.uuid for gpu in gpus if gpu.uuid], 2))
    mps, *levels = chosen(draw(st.integers(0, 2**50)), (False, True), *(LEVELS,) * len(pairs))
    links = (Link(a=a, b=b, level=level) for (a, b), level in zip(pairs, levels, strict=True) if level)
    return Inventory(source="test", gpus=gpus, links=tuple(links), mps=mps)


SHARINGS: tuple[Sharing, ...] = ("timeslice", "any", "exclusive", "mps", "any", "mig", "timeslice")
ISOLATIONS: tuple[Isolation, ...] = ("none", "none", "soft", "hard")
WISHES = [wish for wish in product(SHARINGS, ISOLATIONS) if modes(*wish)]
"""What can never be given is refused when the lab is read."""


def a_need(number: int, most: int) -> Need:
    (sharing, isolation), memory_mib, capability, count = chosen(
        number,
        tuple(WISHES),
        (1, 2, 3, 4, 5, 5, 7, 10, 10, 12, 15, 20, 0),
        (*(None,) * 5, "8.0", ">=9.0", "==9.0"),
        (*(1,) * 4, *range(1, most + 1)),
    )
    return Need(count=count, memory_mib=memory_mib, compute_capability=capability, sharing=sharing, isolation=isolation)


def needs(most: int = 3) -> st.SearchStrategy[Need]:
    """What a lab may ask, of at most `most` GPUs."""
    return st.integers(0, 2**20).map(lambda number: a_need(number, most))


def after(hours: int) -> datetime:
    return NOON + timedelta(hours=hours)
