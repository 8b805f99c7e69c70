"""Who gets a session when, what keeps the others waiting, and what would seat them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.cohorts.seats import Host, LabNeed, SeatPlan, Size, plan_seats
from labctl.cohorts.spec import Cohort
from labctl.gpus.allocation import Pool
from labctl.gpus.inventory import Gpu, HeldGpu, Holding, Inventory, MigInstance
from labctl.gpus.need import Need
from labctl.settings import Price

GIB = 1024
CPU = Size(memory_mib=4 * GIB, cpus=2, disk_mib=8 * GIB)
GPU = Size(memory_mib=8 * GIB, cpus=2, disk_mib=24 * GIB, gpu=Need(memory_mib=8 * GIB))
LAB = LabNeed(lab="rag", minutes=25, sizes={"cpu": CPU, "gpu": GPU})
ONLY_CPU = LabNeed(lab="rag", minutes=25, sizes={"cpu": CPU})


def gpus(count: int, gib: int = 80, *, mig: int = 0, mps: bool = False) -> Inventory:
    def slices(index: int) -> tuple[MigInstance, ...]:
        return tuple(
            MigInstance(
                uuid=f"MIG-{index}-{at}", profile="1g.10gb", memory_total_mib=10 * GIB, memory_free_mib=10 * GIB
            )
            for at in range(mig)
        )

    return Inventory(
        source="test",
        problem=None if count else "no GPU here",
        mps=mps,
        gpus=tuple(
            Gpu(
                index=index,
                uuid=f"GPU-{index}",
                name="H100",
                memory_total_mib=gib * GIB,
                memory_free_mib=gib * GIB,
                compute_capability="9.0",
                mig_enabled=bool(mig),
                mig=slices(index),
            )
            for index in range(count)
        ),
    )


def host(*, cores: float = 64, memory_gib: int = 512, disk_gib: int = 1000, **more: Any) -> Host:
    return Host(cores=cores, memory_mib=memory_gib * GIB, disk_mib=disk_gib * GIB, **{"inventory": gpus(0), **more})


def seated(
    on: Host, learners: int = 40, *, labs: Sequence[LabNeed] = (LAB,), price: Price | None = None, **fields: Any
) -> SeatPlan:
    cohort = Cohort.model_validate({"labs": [lab.lab for lab in labs], "roster": "r.csv", **fields})
    return plan_seats(cohort, [f"l{number}" for number in range(learners)], labs, on, price)


@pytest.mark.parametrize(
    ("on", "fields", "profile", "seats", "waves", "summary", "bottleneck"),
    [
        (host(), {}, "cpu", 40, 1, "all 40 fit at once", ""),
        (host(memory_gib=152), {}, "cpu", 38, 2, "38 of 40 fit; two wait about 25 min", "memory: 38 sessions fit, each of 4 GiB, on 152 GiB"),
        (host(memory_gib=156), {}, "cpu", 39, 2, "39 of 40 fit; one waits about 25 min", "memory: 39"),
        (host(cores=4), {}, "cpu", 8, 5, "8 of 40 fit at once; 32 wait, the last of them about 100 min", "CPU: 8 sessions fit, each of 2 cores, on 4 that are promised 4 times"),
        (host(cores=4), {"limits": {"cpus": 0.4}}, "cpu", 40, 1, "all 40 fit at once", ""),
        (host(cores=1), {}, "cpu", 2, 20, "2 of 40 fit at once; 38 wait, the last of them about 7h 55m", "CPU: 2"),
        (host(), {"sessions": {"maximum": 30}}, "cpu", 30, 2, "30 of 40 fit; ten wait about 25 min", "sessions.maximum is 30"),
        (host(), {"sessions": {"maximum": 41, "reserved": 2}}, "cpu", 39, 2, "39 of 40 fit; one waits about 25 min", "sessions.maximum is 41"),
        (host(memory_gib=3), {}, "cpu", 0, 0, "none of 40 fits", "memory: no session fits, each of 4 GiB, on 3 GiB"),
        (host(), {"limits": {"memory": "2GiB"}}, "cpu", 0, 0, "none of 40 fits", "limits.memory is 2 GiB, and a session needs 4 GiB"),
        (host(disk_gib=20), {"limits": {"disk": "1GiB"}}, "cpu", 12, 1, "12 of 40 fit; 28 cannot be seated here at all", "disk: 8 GiB once and 1 GiB for each learner; it lasts for 12 of 40"),
        (host(inventory=gpus(4)), {}, "cpu", 40, 1, "all 40 fit at once", ""),  # four on a GPU and 36 on a CPU is no class
        (host(inventory=gpus(40)), {}, "gpu", 40, 1, "all 40 fit at once", ""),
        (host(inventory=gpus(4)), {"gpu": {"sharing": "timeslice"}}, "gpu", 40, 1, "all 40 fit at once", ""),
        (host(inventory=gpus(4)), {"profile": "gpu"}, "gpu", 4, 10, "4 of 40 fit at once; 36 wait, the last of them about 3h 45m", "GPUs: 4 sessions fit, each with a GPU of 8 GiB (exclusive), on 4 GPUs"),
        (host(inventory=gpus(0)), {"profile": "gpu"}, "gpu", 0, 0, "none of 40 fits", "GPUs: no GPU here"),
        (host(inventory=gpus(4, mps=True)), {"profile": "gpu", "gpu": {"sharing": "mps"}}, "gpu", 40, 1, "all 40 fit at once", ""),
        (host(inventory=gpus(4)), {"profile": "gpu", "gpu": {"sharing": "mps"}}, "gpu", 0, 0, "none of 40 fits", "GPUs: a GPU is asked for and none can be used"),
        (host(inventory=gpus(4, mig=7)), {"profile": "gpu", "gpu": {"sharing": "mig"}}, "gpu", 28, 2, "28 of 40 fit; twelve wait about 25 min", "GPUs: 28"),
        (host(inventory=gpus(4, mig=7)), {"profile": "gpu", "gpu": {"sharing": "any"}}, "gpu", 28, 2, "28 of 40 fit; twelve wait about 25 min", "GPUs: 28"),
    ],
)  # fmt: skip
def test_a_class_on_a_host(
    on: Host, fields: dict[str, Any], profile: str, seats: int, waves: int, summary: str, bottleneck: str
) -> None:
    plan = seated(on, **fields)
    only = plan.rounds[0]
    assert (only.profile, only.seats, len(only.waves)) == (profile, seats, waves)
    assert plan.summary == summary
    assert only.bottleneck.startswith(bottleneck)
    assert bool(only.bottleneck) == bool(bottleneck)
    assert plan.all_at_once == (summary == "all 40 fit at once") == (not only.bottleneck)


@pytest.mark.parametrize(
    ("on", "fields", "whats"),
    [
        (host(), {}, []),
        (host(memory_gib=144), {}, ["16 GiB more memory"]),
        (host(cores=4), {}, ["`overcommit: 20`: sessions share each core", "16 more CPU cores"]),
        (host(cores=0.5), {}, ["20 more CPU cores"]),  # 160 promises of each core are not made
        (host(), {"sessions": {"maximum": 30}}, ["`sessions: {maximum: 40}`"]),
        (host(), {"sessions": {"maximum": 40, "reserved": 2}}, ["`sessions: {maximum: 42}`", "`sessions: {reserved: 0}`: nobody's sessions are not kept"]),
        (host(), {"limits": {"memory": "2GiB"}}, ["`limits: {memory: 4GiB}`"]),
        (host(disk_gib=20), {"limits": {"disk": "1GiB"}}, ["28 GiB more disk"]),
        (host(memory_gib=80, cores=8), {}, ["80 GiB more memory and 12 more CPU cores, together"]),
        (host(memory_gib=80), {"sessions": {"maximum": 10}}, []),
    ],
)  # fmt: skip
def test_a_change_that_would_seat_all_is_named(on: Host, fields: dict[str, Any], whats: list[str]) -> None:
    assert [change.what for change in seated(on, labs=[ONLY_CPU], **fields).changes] == whats


def test_ways_out_of_too_few_gpus() -> None:
    changes = seated(host(inventory=gpus(4)), profile="gpu").changes
    assert [change.edit for change in changes] == ["gpu: {sharing: timeslice}", "profile: cpu", ""]
    assert changes[-1].what == "36 more GPUs like H100"
    with_mps = seated(host(inventory=gpus(4, mps=True)), profile="gpu").changes
    assert "gpu: {sharing: mps}" in [change.edit for change in with_mps]
    split = seated(host(inventory=gpus(4, mig=7)), profile="gpu", gpu={"sharing": "mig"}).changes
    assert [change.what for change in split if not change.edit] == ["2 more GPUs like H100"]


def test_the_first_on_the_list_are_seated_first_and_starts_are_staggered() -> None:
    waves = seated(host(memory_gib=12), 7, labs=[ONLY_CPU], stagger={"size": 2, "every": "10s"}).rounds[0].waves
    assert [wave.learners for wave in waves] == [("l0", "l1", "l2"), ("l3", "l4", "l5"), ("l6",)]
    assert [(wave.starts_s, wave.all_started_s) for wave in waves] == [(0, 10), (1500, 1510), (3000, 3000)]


def test_what_sessions_hold_already_is_not_given_again() -> None:
    held = HeldGpu(uuid="GPU-0", name="H100", memory_mib=80 * GIB, sharing="exclusive", total_mib=80 * GIB)
    holding = Holding(session="other", lab="x", learner="y", gpu=held)
    on = host(inventory=gpus(2), holdings=(holding,))
    assert seated(on, 2, profile="gpu").summary == "1 of 2 fits; one waits about 25 min"
    assert seated(replace(on, holdings=()), 2, profile="gpu").summary == "both fit at once"


def test_labs_follow_each_other_and_share_the_disk() -> None:
    second = replace(ONLY_CPU, lab="agents", minutes=60)
    plan = seated(
        host(memory_gib=80, disk_gib=40),
        labs=[ONLY_CPU, second],
        window={"opens": "2026-09-01 09:00", "closes": "2026-09-01 10:00"},
    )
    assert [each.seats for each in plan.rounds] == [20, 20]
    assert plan.disk_mib == 2 * (8 * GIB + 40 * 256)
    assert plan.summary.startswith("rag: 20 of 40 fit; 20 wait about 25 min")
    assert plan.notes == ("all of it takes about 2h 50m, and the window is open for 60 min",)
    full = seated(host(disk_gib=30), labs=[ONLY_CPU, second])
    assert [len(each.unseated) for each in full.rounds] == [0, 24]
    assert full.summary == "agents: 16 of 40 fit; 24 cannot be seated here at all"
    assert [change.what for change in full.changes] == ["6 GiB more disk"]


def test_gpu_hours_are_what_the_ledger_will_count_and_cost_what_the_file_says() -> None:
    whole = seated(host(inventory=gpus(4)), 4, profile="gpu", ttl="1h")
    assert whole.gpu_hours == pytest.approx(4 * 25 / 60)
    assert (whole.gpu_hours_most, whole.cost) == (4, None)
    tenth = seated(
        host(inventory=gpus(1)),
        10,
        profile="gpu",
        gpu={"sharing": "timeslice"},
        cost={"gpu_hour": 6, "currency": "EUR"},
    )
    assert tenth.gpu_hours == pytest.approx(25 / 60)
    assert tenth.cost == pytest.approx(2.5)
    assert tenth.currency == "EUR"
    assert seated(
        host(inventory=gpus(4)), 4, profile="gpu", price=Price(amount=3, currency="USD")
    ).cost == pytest.approx(5)
    assert seated(host(), 4, price=Price(amount=3)).cost == 0


def test_what_fits_and_is_worth_knowing_is_noted() -> None:
    hard = replace(LAB, sizes={"gpu": replace(GPU, gpu=Need(memory_mib=8 * GIB, isolation="hard"))})
    notes = seated(
        host(inventory=gpus(2)),
        2,
        labs=[hard],
        gpu={"sharing": "timeslice"},
        profile="cpu",
        ttl="10m",
        sessions={"initial": 5},
        limits={"sessions": 2},
    ).notes
    assert notes == (
        "rag takes 25 min, and sessions end after 10 min: raise `ttl`",
        "rag has no profile cpu; it runs with gpu",
        "rag cannot be shared as timeslice; exclusive, as the lab says",
        "rag: 5 initial sessions are asked for, and 2 fit",
        "planned for one session a learner at a time; whoever keeps two open takes two seats",
    )


def test_images_are_named_once() -> None:
    labs = [
        replace(ONLY_CPU, lab=name, sizes={"cpu": replace(CPU, images=images)})
        for name, images in (("a", ("x", "y")), ("b", ("y", "z")))
    ]
    assert seated(host(), labs=labs).images == ("x", "y", "z")


def test_nobody_needs_nothing() -> None:
    plan = seated(host(memory_gib=0), 0)
    assert (plan.all_at_once, plan.changes, plan.rounds[0].waves) == (True, (), ())


SHARINGS = st.sampled_from([None, "exclusive", "timeslice", "mps", "mig", "any"])
HOSTS = st.builds(
    lambda cores, memory, disk, count, gib, mig, mps: host(
        cores=cores, memory_gib=memory, disk_gib=disk, inventory=gpus(count, gib, mig=mig, mps=mps)
    ),
    st.sampled_from([0.5, 1, 4, 16, 64]),
    st.integers(0, 200),
    st.integers(0, 120),
    st.integers(0, 5),
    st.sampled_from([6, 16, 24, 80]),
    st.sampled_from([0, 0, 3, 7]),
    st.booleans(),
)
SIZES = st.builds(
    lambda memory, cpus, count, share: {
        "cpu": CPU,
        "gpu": Size(memory_mib=memory, cpus=cpus, disk_mib=GIB, gpu=Need(count=count, memory_mib=share * GIB)),
    },
    st.sampled_from([0, 512, 4096, 9000]),
    st.sampled_from([0.5, 2, 3.3]),
    st.integers(1, 3),
    st.sampled_from([0, 4, 8, 30]),
)
FIELDS = st.fixed_dictionaries(
    {
        "profile": st.sampled_from([None, "cpu", "gpu"]),
        "gpu": st.fixed_dictionaries({"sharing": SHARINGS}),
        "overcommit": st.sampled_from([1, 2.5, 4]),
        "sessions": st.sampled_from([{}, {"reserved": 1}, {"maximum": 6}, {"reserved": 2, "maximum": 9}]),
        "limits": st.sampled_from([{}, {"disk": "3GiB"}, {"cpus": 0.3}, {"memory": "4GiB"}]),
    }
)
CASES = settings(max_examples=200, deadline=None)


@CASES
@given(on=HOSTS, sizes=SIZES, learners=st.integers(0, 25), fields=FIELDS)
def test_never_are_more_seated_than_fit(on: Host, sizes: Any, learners: int, fields: dict[str, Any]) -> None:
    plan = seated(on, learners, labs=[LabNeed(lab="rag", minutes=30, sizes=sizes)], **fields)
    only, cohort = plan.rounds[0], Cohort.model_validate({"labs": ["rag"], "roster": "r", **fields})
    size, everyone = only.size, [*(name for wave in only.waves for name in wave.learners), *only.unseated]
    assert everyone == [f"l{number}" for number in range(learners)]
    at_once = max((len(wave.learners) for wave in only.waves), default=0)
    assert at_once == only.seats
    running = at_once + (only.reserved if at_once else 0)
    assert running * size.memory_mib <= on.memory_mib
    assert running * min(size.cpus, cohort.limits.cpus or 99) <= on.cores * cohort.overcommit + 1e-6
    assert not at_once or size.disk_mib + (learners - len(only.unseated)) * cohort.limits.disk <= on.disk_mib
    assert running <= (cohort.sessions.maximum or 99)
    assert not at_once or size.memory_mib <= (cohort.limits.memory or size.memory_mib)
    if size.gpu:
        pool, need = Pool(on.inventory), cohort.gpu.need(size.gpu)
        assert all(pool.take(need, str(number)) for number in range(running))
    assert plan.all_at_once == (not only.bottleneck) or learners == 0 or cohort.sessions.reserved


@CASES
@given(
    on=HOSTS,
    sizes=SIZES,
    learners=st.integers(0, 25),
    fields=FIELDS,
    more=st.integers(1, 200),
    what=st.sampled_from(["memory_mib", "cores", "disk_mib"]),
)
def test_a_larger_machine_never_seats_fewer(
    on: Host, sizes: Any, learners: int, fields: dict[str, Any], more: int, what: str
) -> None:
    labs = [LabNeed(lab=name, minutes=30, sizes=sizes) for name in ("a", "b")]
    larger = replace(on, **{what: getattr(on, what) + more * (GIB if what != "cores" else 1)})
    before, after = (seated(machine, learners, labs=labs, **fields) for machine in (on, larger))
    for small, large in zip(before.rounds, after.rounds, strict=True):
        assert large.seats >= small.seats
        assert len(large.unseated) <= len(small.unseated)
    if before.all_at_once:
        assert after.all_at_once


@CASES
@given(on=HOSTS, sizes=SIZES, learners=st.integers(1, 15), fields=FIELDS)
def test_what_is_said_to_seat_all_does(on: Host, sizes: Any, learners: int, fields: dict[str, Any]) -> None:
    import yaml

    labs = [LabNeed(lab="rag", minutes=30, sizes=sizes)]
    for change in seated(on, learners, labs=labs, **fields).changes:
        if change.edit:
            edit = yaml.safe_load(change.edit)
            merged = {
                key: {**fields.get(key, {}), **value} if isinstance(value, dict) else value
                for key, value in edit.items()
            }
            assert seated(on, learners, labs=labs, **{**fields, **merged}).all_at_once, change.what
