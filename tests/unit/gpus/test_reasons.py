"""Why a GPU cannot be had: every refusal in words, with figures."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from labctl.gpus.allocation import Pool, refusal
from labctl.gpus.inventory import Gpu, GpuProcess, Health, HeldGpu, Holding, Inventory, MigInstance, SharingMode
from labctl.gpus.need import Need

A100 = Gpu(
    index=0, uuid="GPU-a", name="A100", memory_total_mib=40960, memory_free_mib=9318, compute_capability="8.0"
)  # fmt: skip
EMPTY = replace(A100, memory_free_mib=40960)
BUSY = replace(A100, processes=(GpuProcess(pid=4121, memory_mib=2048, name="python3", owner="ada"),))
SPLIT = replace(
    A100,
    mig_enabled=True,
    mig=(
        MigInstance(uuid="MIG-1", profile="1g.5gb", memory_total_mib=4864, memory_free_mib=4800),
        MigInstance(uuid="MIG-2", profile="2g.10gb", memory_total_mib=9728, memory_free_mib=9700),
    ),
)
LATE = datetime(2026, 11, 21, 16, 40, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def pool_of(*gpus: Gpu, held: tuple[Holding, ...] = ()) -> Pool:
    return Pool(Inventory(source="test", gpus=gpus), held)


def why_not(gpu: Gpu, need: Need, *held: Holding) -> str | None:
    whys = pool_of(gpu, held=held).why_not(need)
    return whys[0][1] if whys else None


def alice(mib: int | None, sharing: SharingMode = "timeslice", uuid: str = "GPU-a") -> Holding:
    gpu = HeldGpu(uuid=uuid, name="A100", memory_mib=mib, sharing=sharing, total_mib=40960)
    return Holding(session="stage2-finetune--alice", lab="stage2-finetune", learner="alice", gpu=gpu, until=LATE)


def other(name: str, mib: int) -> Holding:
    return replace(alice(mib), session=f"stage1-serve--{name}", lab="stage1-serve", learner=name, until=None)


@pytest.mark.parametrize(
    ("gpu", "need", "why"),
    [
        (A100, Need(memory_mib=12288), "9.1 of the 12 GiB asked are free"),
        (replace(A100, memory_free_mib=700), Need(memory_mib=12288), "700 MiB of the 12 GiB asked are free"),
        (A100, Need(compute_capability=">=8.9"), "its compute capability is 8.0, and at least 8.9 is asked for"),
        (A100, Need(compute_capability="8.9"), "its compute capability is 8.0, and at least 8.9 is asked for"),
        (A100, Need(compute_capability="==7.5"), "its compute capability is 8.0, and exactly 7.5 is asked for"),
        (BUSY, Need(), "in use by python3 of ada (pid 4121, 2 GiB)"),
        (BUSY, Need(sharing="any"), "in use by python3 of ada (pid 4121, 2 GiB)"),
        (replace(A100, processes=(GpuProcess(pid=7),)), Need(), "in use by a process (pid 7)"),
        (replace(A100, health=Health(ok=False, reasons=("reboot",))), Need(), "reboot"),
        (replace(A100, health=Health(ok=False)), Need(sharing="any"), "the driver reports trouble with it"),
        (replace(A100, uuid=""), Need(), "the driver counts it and cannot open it"),
        (SPLIT, Need(), "it is split into 2 MIG slices, and a whole GPU is asked for"),
        (A100, Need(sharing="mig"), "it is not split into MIG slices, and a slice is asked for"),
        (
            replace(A100, mig_enabled=True),
            Need(sharing="mig"),
            "MIG is on and it has no slices; `sudo nvidia-smi mig -cgi PROFILE -C` makes one",
        ),
        (
            SPLIT,
            Need(sharing="mig", memory_mib=12288),
            "9.5 of the 12 GiB asked are free in the largest of its 2 MIG slices to be had",
        ),
        (SPLIT, Need(sharing="mig", count=2), "a CUDA program can use one MIG slice only, and several GPUs are asked for"),
        (
            A100,
            Need(sharing="mps", memory_mib=1024),
            "the MPS daemon does not run: `sudo nvidia-cuda-mps-control -d`",
        ),
        (A100, Need(sharing="timeslice"), "a share of a GPU needs `memory` in the lab's gpu profile, and it names none"),
        (
            A100,
            Need(sharing="timeslice", memory_mib=1, isolation="hard"),
            "no way of sharing gives the isolation that is asked for",
        ),
    ],
)  # fmt: skip
def test_a_refusal_has_the_figures_in_it(gpu: Gpu, need: Need, why: str) -> None:
    assert why_not(gpu, need) == why


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
        (replace(A100, processes=None), Need()),
        (BUSY, Need(sharing="timeslice", memory_mib=4096)),
        (BUSY, Need(sharing="any", memory_mib=4096)),
        (SPLIT, Need(sharing="any", memory_mib=9000)),
    ],
)
def test_what_suffices_or_is_unknown_fits(gpu: Gpu, need: Need) -> None:
    assert why_not(gpu, need) is None


def test_every_reason_is_told_at_once() -> None:
    assert why_not(BUSY, Need(memory_mib=12288, compute_capability=">=9.0")) == (
        "its compute capability is 8.0, and at least 9.0 is asked for; "
        "in use by python3 of ada (pid 4121, 2 GiB); 9.1 of the 12 GiB asked are free"
    )


def test_whoever_holds_a_gpu_is_named_with_the_end_of_it() -> None:
    share = Need(memory_mib=12288, sharing="timeslice")
    until = "held by alice/stage2-finetune until 16:40"
    assert why_not(EMPTY, share, alice(31642)) == f"9.1 of the 12 GiB asked are free; {until}"
    assert why_not(EMPTY, Need(), alice(40960, "exclusive")) == f"{until} as a GPU of its own"
    assert why_not(EMPTY, Need(sharing="any"), alice(9000)) == (
        f"{until}, shared in turns, and a GPU of one's own is asked for"
    )
    assert why_not(SPLIT, Need(sharing="mig"), alice(1, "mig", "MIG-1"), alice(1, "mig", "MIG-2")) == (
        "all of its 2 MIG slices are held by alice/stage2-finetune until 16:40"
    )
    assert why_not(SPLIT, Need(sharing="mig"), alice(1, "mig", "MIG-1")) is None


def test_of_many_holders_the_first_are_named() -> None:
    held = [other(name, 6000) for name in ("ada", "bob", "cy", "di", "eve")]
    assert why_not(EMPTY, Need(memory_mib=20480, sharing="timeslice"), *held) == (
        "10.7 of the 20 GiB asked are free; held by ada/stage1-serve, bob/stage1-serve, cy/stage1-serve and 2 others"
    )


def test_unknown_memory_is_held_once_only() -> None:
    unknown = replace(A100, memory_free_mib=None)
    assert why_not(unknown, Need(memory_mib=20, sharing="timeslice"), other("ada", 6000)) == (
        "the driver does not tell its memory, so that it can be held once only; held by ada/stage1-serve"
    )


def test_a_gpu_that_is_set_aside_says_for_whom() -> None:
    pool = pool_of(EMPTY, held=(other("ada", 6000),))
    pool.reserve(Need(), "stage3--bob")
    assert pool.why_not(Need(memory_mib=10, sharing="timeslice")) == [
        (EMPTY, "set aside for stage3--bob, which waits for it")
    ]


def test_a_gpu_serves_somebody_unless_it_says_why_not() -> None:
    assert pool_of(BUSY).unusable(BUSY) is None
    assert pool_of(SPLIT).unusable(SPLIT) is None
    assert pool_of(EMPTY, held=(other("ada", 40960),)).unusable(EMPTY) == (
        "none of its memory is free; held by ada/stage1-serve"
    )


def test_a_refusal_names_each_gpu_and_why() -> None:
    second = replace(BUSY, index=1, uuid="GPU-b")
    assert refusal(pool_of(A100, second), Need(count=2)) == (
        "2 GPUs are asked for and 1 can be used\n  GPU 1 (A100): in use by python3 of ada (pid 4121, 2 GiB)"
    )
    assert refusal(pool_of(BUSY), Need()) == (
        "a GPU is asked for and none can be used\n  GPU 0 (A100): in use by python3 of ada (pid 4121, 2 GiB)"
    )


def test_gpus_that_can_only_be_shared_in_different_ways_serve_nobody_together() -> None:
    gpus = (EMPTY, replace(EMPTY, index=1, uuid="GPU-b"))
    through_mps = replace(other("bob", 1024), gpu=replace(alice(1024, "mps", "GPU-b").gpu))
    pool = Pool(Inventory(source="test", gpus=gpus, mps=True), (other("ada", 1024), through_mps))
    need = Need(count=2, memory_mib=1024, sharing="any")
    assert pool.take(need) is None
    assert refusal(pool, need).splitlines()[1:] == [
        "  GPU 0 (A100): it can only be shared in another way than the others, and all GPUs of a session are held in one way"
    ]


def test_without_gpus_the_inventorys_own_sentence_is_the_reason() -> None:
    assert refusal(Pool(Inventory(source="NVML", problem="No driver.")), Need()) == "No driver."
    assert refusal(Pool(Inventory(source="the cluster")), Need()) == "the cluster knows no GPU."
    assert Pool(Inventory(source="the cluster")).take(Need()) is None
