"""Which GPUs a session gets."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from labctl.gpus.allocation import Pool
from labctl.gpus.inventory import (
    Allocation,
    Gpu,
    GpuProcess,
    Health,
    HeldGpu,
    Holding,
    Inventory,
    Link,
    LinkLevel,
    MigInstance,
)
from labctl.gpus.need import Need

GIB = 1024
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def a_gpu(index: int, *, memory_gib: int = 80, free_gib: int | None = None, **more: object) -> Gpu:
    free = memory_gib if free_gib is None else free_gib
    gpu = Gpu(index=index, uuid=f"GPU-{index}", name="H100", memory_total_mib=memory_gib * GIB)
    return replace(gpu, memory_free_mib=free * GIB, compute_capability="9.0", **more)  # type: ignore[arg-type]


def pool_of(*gpus: Gpu, held: tuple[Holding, ...] = (), mps: bool = False, links: tuple[Link, ...] = ()) -> Pool:
    return Pool(Inventory(source="test", gpus=gpus, links=links, mps=mps), held)


def share(gib: int, count: int = 1) -> Need:
    return Need(count=count, memory_mib=gib * GIB, sharing="timeslice")


def holding(uuid: str, gib: int, *, session: str = "lab--bob", until: datetime | None = None) -> Holding:
    gpu = HeldGpu(uuid=uuid, name="H100", memory_mib=gib * GIB, sharing="timeslice", total_mib=80 * GIB)
    return Holding(session=session, lab="lab", learner="bob", gpu=gpu, until=until)


def uuids(allocation: Allocation | None) -> list[str]:
    return [gpu.uuid for gpu in allocation.gpus] if allocation else []


def a_split_gpu(index: int = 0) -> Gpu:
    slices = tuple(
        MigInstance(uuid=f"MIG-{index}-{gib}", profile=f"1g.{gib}gb", memory_total_mib=gib * GIB, memory_free_mib=gib * GIB)
        for gib in (20, 10, 40)
    )  # fmt: skip
    return a_gpu(index, mig_enabled=True, mig=slices)


def test_an_exclusive_gpu_is_given_once_and_whole() -> None:
    pool = pool_of(a_gpu(0))
    taken = pool.take(Need(memory_mib=8 * GIB), "one")
    whole = HeldGpu(uuid="GPU-0", name="H100", memory_mib=80 * GIB, sharing="exclusive", total_mib=80 * GIB)
    assert taken == Allocation(gpus=(whole,))
    assert pool.take(Need(), "two") is None
    assert pool.take(share(1), "three") is None


def test_shares_of_a_gpu_never_sum_to_more_than_it_has() -> None:
    pool = pool_of(a_gpu(0))
    assert [bool(pool.take(share(30), name)) for name in ("one", "two", "three")] == [True, True, False]
    assert uuids(pool.take(share(20), "four")) == ["GPU-0"]


def test_what_a_holder_does_not_use_yet_is_still_its_own() -> None:
    running = GpuProcess(pid=1, memory_mib=10 * GIB, session="lab--bob")
    gpu = a_gpu(0, free_gib=65, processes=(running,))
    pool = pool_of(gpu, held=(holding("GPU-0", 30),))
    assert pool.take(share(46)) is None
    assert pool.take(share(45))


def test_memory_of_strangers_cannot_be_shared_out() -> None:
    gpu = a_gpu(0, free_gib=50, processes=(GpuProcess(pid=1, memory_mib=30 * GIB),))
    assert pool_of(gpu).take(share(51)) is None
    assert pool_of(gpu).take(share(50))
    assert pool_of(gpu).take(Need()) is None


def test_a_service_that_shares_is_no_stranger() -> None:
    gpu = a_gpu(0, processes=(GpuProcess(pid=1, memory_mib=30, name="nvidia-cuda-mps-server"),))
    assert pool_of(gpu).take(Need())


def test_unknown_memory_suffices_for_the_first_and_never_for_the_second() -> None:
    pool = pool_of(replace(a_gpu(0), memory_free_mib=None, memory_total_mib=None, processes=None))
    assert pool.take(share(30), "one")
    assert pool.take(share(1), "two") is None
    pool.give_back("one")
    assert pool.take(Need(memory_mib=30 * GIB))


def test_the_fullest_gpu_that_still_fits_is_shared_before_another_is_opened() -> None:
    pool = pool_of(a_gpu(0), a_gpu(1), a_gpu(2), held=(holding("GPU-1", 20), holding("GPU-2", 50)))
    assert uuids(pool.take(share(20))) == ["GPU-2"]
    assert uuids(pool.take(share(20))) == ["GPU-1"]
    assert uuids(pool.take(share(60))) == ["GPU-0"]


def test_the_smallest_gpu_that_suffices_is_given_whole() -> None:
    pool = pool_of(a_gpu(0), a_gpu(1, memory_gib=24), a_gpu(2, memory_gib=48))
    assert [uuids(pool.take(Need(memory_mib=30 * GIB))) for _ in range(3)] == [["GPU-2"], ["GPU-0"], []]


def test_gpus_without_warnings_go_first_and_ill_ones_never() -> None:
    slow, ill = Health(reasons=("slowed down by heat",)), Health(ok=False, reasons=("reset it",))
    pool = pool_of(a_gpu(0, health=ill), a_gpu(1, memory_gib=24, health=slow), a_gpu(2))
    assert [uuids(pool.take(Need())) for _ in range(3)] == [["GPU-2"], ["GPU-1"], []]


def test_any_takes_the_smallest_slice_then_mps_then_a_gpu_of_its_own() -> None:
    need = Need(memory_mib=15 * GIB, sharing="any", isolation="soft")
    pool = pool_of(a_split_gpu(), a_gpu(1), mps=True)
    taken = [pool.take(need) for _ in range(4)]
    assert [(*uuids(each), each and each.gpus[0].sharing) for each in taken] == [
        ("MIG-0-20", "mig"),
        ("MIG-0-40", "mig"),
        ("GPU-1", "mps"),
        ("GPU-1", "mps"),
    ]
    assert pool_of(a_gpu(1)).take(need) == pool_of(a_gpu(1)).take(Need(memory_mib=15 * GIB))


def test_isolation_that_is_insisted_on_is_given() -> None:
    pool = pool_of(a_gpu(0), mps=True)
    taken = pool.take(Need(memory_mib=GIB, sharing="any", isolation="hard"))
    assert taken is not None
    assert taken.gpus[0].sharing == "exclusive"
    assert pool_of(a_gpu(0)).take(Need(sharing="timeslice", memory_mib=1, isolation="hard")) is None


def test_a_gpu_is_shared_in_one_way_at_a_time() -> None:
    pool = pool_of(a_gpu(0), mps=True)
    assert pool.take(share(10), "turns")
    assert pool.take(Need(memory_mib=GIB, sharing="mps")) is None
    pool.give_back("turns")
    assert pool.take(Need(memory_mib=GIB, sharing="mps"))


def test_a_slice_is_held_by_its_own_uuid() -> None:
    taken = pool_of(a_split_gpu()).take(Need(sharing="mig", memory_mib=15 * GIB))
    assert taken is not None
    assert taken.gpus[0] == HeldGpu(
        uuid="MIG-0-20", name="H100 MIG 1g.20gb", memory_mib=20 * GIB, sharing="mig", total_mib=20 * GIB
    )


@pytest.mark.parametrize("count", [2, 4])
def test_several_gpus_come_from_the_smallest_group_that_is_well_connected(count: int) -> None:
    groups: tuple[tuple[LinkLevel, tuple[int, ...]], ...] = (("nvlink", (0, 1, 2, 3)), ("nvlink", (4, 5)))
    links = tuple(
        Link(a=f"GPU-{a}", b=f"GPU-{b}", level=level) for level, group in groups for a in group for b in group if a < b
    )
    pool = pool_of(*(a_gpu(index) for index in range(6)), links=links)
    wanted = {2: ["GPU-4", "GPU-5"], 4: ["GPU-0", "GPU-1", "GPU-2", "GPU-3"]}
    assert uuids(pool.take(Need(count=count))) == wanted[count]


def test_gpus_that_are_linked_in_a_chain_are_taken_along_the_chain() -> None:
    links = (Link(a="GPU-0", b="GPU-3", level="nvlink"), Link(a="GPU-3", b="GPU-1", level="nvlink"))
    pool = pool_of(*(a_gpu(index) for index in range(4)), links=links)
    assert uuids(pool.take(Need(count=2))) == ["GPU-0", "GPU-3"]
    assert uuids(pool.take(Need(count=2))) == ["GPU-1", "GPU-2"]


def test_a_holder_that_is_gone_gives_back() -> None:
    pool = pool_of(a_gpu(0), held=(holding("GPU-0", 60),))
    assert pool.take(share(30)) is None
    pool.give_back("lab--bob")
    pool.give_back("lab--bob")
    assert pool.take(share(30))


def test_a_gpu_that_is_held_and_gone_troubles_nobody() -> None:
    pool = pool_of(a_gpu(0), held=(holding("GPU-9", 60),))
    assert pool.take(share(80))


def test_whoever_waits_in_front_gets_what_fits() -> None:
    pool = pool_of(a_gpu(0))
    assert uuids(pool.reserve(share(50), "first")) == ["GPU-0"]
    assert pool.take(share(40), "second") is None
    assert pool.take(share(30), "third")


def test_the_gpu_that_is_free_soonest_is_set_aside_and_the_others_are_not() -> None:
    late, soon = NOON.replace(hour=16), NOON.replace(hour=13)
    held = (holding("GPU-0", 40, until=late), holding("GPU-1", 60, session="lab--eve", until=soon))
    pool = pool_of(a_gpu(0), a_gpu(1), held=held)
    assert pool.reserve(share(70), "big") is None
    assert uuids(pool.take(share(20), "small")) == ["GPU-0"]
    assert pool.take(share(40), "late") is None
    pool.give_back("lab--eve")
    assert uuids(pool.take(share(70), "big")) == ["GPU-1"]


def test_what_is_over_of_a_gpu_that_is_set_aside_can_be_had() -> None:
    pool = pool_of(a_gpu(0), held=(holding("GPU-0", 60, until=NOON),))
    assert pool.reserve(share(70), "big") is None
    assert pool.take(share(11)) is None
    assert pool.take(share(10), "small")
    assert pool.take(share(1)) is None
    pool.give_back("lab--bob")
    assert pool.take(share(70), "big")


def test_nothing_is_over_where_nobody_knows_when_the_others_leave() -> None:
    pool = pool_of(a_gpu(0), held=(holding("GPU-0", 60),))
    assert pool.reserve(share(70), "big") is None
    assert pool.take(share(10)) is None


def test_gpus_are_set_aside_for_the_first_in_the_queue_only() -> None:
    held = (holding("GPU-0", 60, until=NOON), holding("GPU-1", 60, until=NOON))
    pool = pool_of(a_gpu(0), a_gpu(1), held=held)
    assert pool.reserve(share(80), "first") is None
    assert pool.reserve(share(80), "second") is None
    assert uuids(pool.take(share(20))) == ["GPU-1"]


def test_nothing_is_set_aside_for_what_can_never_be() -> None:
    pool = pool_of(a_gpu(0), held=(holding("GPU-0", 40),))
    assert pool.reserve(share(200), "huge") is None
    assert pool.take(share(40))


def test_whoever_leaves_the_queue_keeps_nothing_aside() -> None:
    pool = pool_of(a_gpu(0), held=(holding("GPU-0", 40),))
    pool.reserve(share(70), "big")
    assert pool.take(share(10)) is None
    pool.give_back("big")
    assert pool.take(share(10))
