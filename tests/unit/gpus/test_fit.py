"""Which GPUs a lab can have: every refusal in words, with figures."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.gpus.fit import Need, choose, unfit
from labctl.gpus.inventory import Allocation, Gpu, GpuProcess, Health, HeldGpu, Inventory, MigInstance

A100 = Gpu(
    index=0, uuid="GPU-a", name="A100", memory_total_mib=40960, memory_free_mib=9318, compute_capability="8.0"
)  # fmt: skip
BUSY = replace(A100, processes=(GpuProcess(pid=4121, memory_mib=2048, name="python3", owner="ada"),))
SPLIT = replace(
    A100,
    mig_enabled=True,
    mig=(
        MigInstance(uuid="MIG-1", profile="1g.5gb", memory_total_mib=4864, memory_free_mib=4800),
        MigInstance(uuid="MIG-2", profile="2g.10gb", memory_total_mib=9728, memory_free_mib=9700),
    ),
)


@pytest.mark.parametrize(
    ("gpu", "need", "why"),
    [
        (A100, Need(memory_mib=12288), "9.1 of the 12 GiB asked are free"),
        (replace(A100, memory_free_mib=700), Need(memory_mib=12288), "700 MiB of the 12 GiB asked are free"),
        (A100, Need(compute_capability=">=8.9"), "its compute capability is 8.0, and at least 8.9 is asked for"),
        (A100, Need(compute_capability="8.9"), "its compute capability is 8.0, and at least 8.9 is asked for"),
        (A100, Need(compute_capability="==7.5"), "its compute capability is 8.0, and exactly 7.5 is asked for"),
        (BUSY, Need(), "in use by python3 of ada (pid 4121, 2 GiB)"),
        (replace(A100, processes=(GpuProcess(pid=7),)), Need(), "in use by a process (pid 7)"),
        (replace(A100, health=Health(ok=False, reasons=("reboot",))), Need(), "reboot"),
        (replace(A100, health=Health(ok=False)), Need(sharing="any"), "the driver reports trouble with it"),
        (SPLIT, Need(), "it is split into 2 MIG slices, and a whole GPU is asked for"),
        (A100, Need(sharing="mig"), "it is not split into MIG slices, and a slice is asked for"),
        (
            SPLIT,
            Need(sharing="mig", memory_mib=12288),
            "9.5 of the 12 GiB asked are free in the largest of its 2 MIG slices to be had",
        ),
    ],
)
def test_a_refusal_has_the_figures_in_it(gpu: Gpu, need: Need, why: str) -> None:
    assert unfit(gpu, need) == why


@pytest.mark.parametrize(
    ("gpu", "need"),
    [
        (A100, Need(memory_mib=9318, compute_capability=">=8.0")),
        (A100, Need(compute_capability="==8.0")),
        (replace(A100, compute_capability="10.0"), Need(compute_capability=">=9.0")),
        (
            replace(A100, memory_free_mib=None, compute_capability=None),
            Need(memory_mib=12288, compute_capability="9.0"),
        ),
        (replace(A100, health=Health(reasons=("slowed down by heat",))), Need()),
        (BUSY, Need(sharing="timeslice")),
        (BUSY, Need(sharing="any")),
        (SPLIT, Need(sharing="any", memory_mib=9000)),
    ],
)
def test_what_suffices_or_is_unknown_fits(gpu: Gpu, need: Need) -> None:
    assert unfit(gpu, need) is None


def test_every_reason_is_told_at_once() -> None:
    why = unfit(BUSY, Need(memory_mib=12288, compute_capability=">=9.0"))
    assert why is not None
    assert why.count("; ") == 2


def test_what_another_session_holds_is_not_offered() -> None:
    assert unfit(A100, Need(), held={"GPU-a"}) == "another session holds it"
    assert unfit(SPLIT, Need(sharing="mig"), held={"MIG-1"}) is None
    assert unfit(SPLIT, Need(sharing="mig"), held={"MIG-1", "MIG-2"}) == "other sessions hold all of its 2 MIG slices"


def test_the_gpus_with_most_free_memory_are_chosen() -> None:
    gpus = [
        replace(A100, index=number, uuid=f"GPU-{number}", memory_free_mib=free) for number, free in enumerate((5, 9, 7))
    ]
    unknown = replace(A100, index=3, uuid="GPU-3", memory_free_mib=None)
    chosen = choose(Inventory(source="test", gpus=(unknown, *gpus)), Need(count=2))
    assert isinstance(chosen, Allocation)
    assert [gpu.uuid for gpu in chosen.gpus] == ["GPU-1", "GPU-2"]


def test_a_slice_is_held_by_its_own_uuid() -> None:
    chosen = choose(Inventory(source="test", gpus=(SPLIT,)), Need(sharing="any"))
    assert chosen == Allocation(gpus=(HeldGpu(uuid="MIG-2", name="A100 MIG 2g.10gb", memory_mib=9728, sharing="mig"),))


def test_a_shared_gpu_is_held_for_what_was_asked() -> None:
    chosen = choose(Inventory(source="test", gpus=(BUSY,)), Need(sharing="any", memory_mib=4096))
    assert chosen == Allocation(gpus=(HeldGpu(uuid="GPU-a", name="A100", memory_mib=4096, sharing="timeslice"),))


def test_a_refusal_to_choose_names_each_gpu_and_why() -> None:
    other = replace(BUSY, index=1, uuid="GPU-b")
    assert choose(Inventory(source="test", gpus=(A100, other)), Need(count=2)) == (
        "2 GPUs are asked for and 1 can be used\n  GPU 1 (A100): in use by python3 of ada (pid 4121, 2 GiB)"
    )


def test_without_gpus_the_inventorys_own_sentence_is_the_reason() -> None:
    assert choose(Inventory(source="NVML", problem="No driver."), Need()) == "No driver."
    assert choose(Inventory(source="the cluster"), Need()) == "the cluster knows no GPU."


@settings(deadline=None, max_examples=100)
@given(
    free=st.lists(st.one_of(st.none(), st.integers(0, 100_000)), max_size=6),
    count=st.integers(1, 4),
    memory_mib=st.integers(0, 100_000),
)
def test_whatever_is_chosen_is_fit_and_chosen_once(free: list[int | None], count: int, memory_mib: int) -> None:
    gpus = tuple(
        Gpu(index=index, uuid=f"GPU-{index}", name="A100", memory_free_mib=mib) for index, mib in enumerate(free)
    )
    need = Need(count=count, memory_mib=memory_mib)
    chosen = choose(Inventory(source="test", gpus=gpus), need)
    fit = {gpu.uuid for gpu in gpus if unfit(gpu, need) is None}
    if isinstance(chosen, str):
        assert len(fit) < count
    else:
        assert len({gpu.uuid for gpu in chosen.gpus} & fit) == count
