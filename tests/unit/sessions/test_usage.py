"""The ledger added up."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from labctl.sessions.usage import Usage, total, usage
from labctl.settings import Price
from labctl.store.records import Held

BEGIN = datetime(2026, 1, 2, 8, 0, tzinfo=UTC)
NOW = BEGIN + timedelta(hours=10)


def held(learner: str = "ada", *, begin_h: float = 0, hours: float | None = 1, **values: object) -> Held:
    """What a learner held, for so many hours; None is still."""
    since = BEGIN + timedelta(hours=begin_h)
    row = Held(
        session=f"a--{learner}",
        lab="a",
        learner=learner,
        uuid="GPU-1",
        name="H100",
        sharing="exclusive",
        memory_mib=80_000,
        total_mib=80_000,
        since=since,
        released_at=since + timedelta(hours=hours) if hours is not None else None,
    )
    return replace(row, **values)  # type: ignore[arg-type]


def only(rows: list[Usage]) -> Usage:
    (row,) = rows
    return row


def test_hours_are_added_and_what_is_held_still_counts_until_now() -> None:
    row = only(usage([held(hours=1.5), held(begin_h=8, hours=None)], "learner", NOW))
    assert (row.key, row.held_s / 3600, row.allocations, row.open) == ("ada", 3.5, 2, 1)


def test_a_shared_gpu_counts_by_the_share_of_its_memory() -> None:
    rows = [
        held(sharing="timeslice", memory_mib=20_000),
        held(begin_h=2, sharing="mps", memory_mib=None),
        held(begin_h=4, sharing="mig", memory_mib=10_000, total_mib=10_000),
    ]
    row = only(usage(rows, "learner", NOW))
    assert (row.held_s / 3600, row.shared_s / 3600) == (3, 2.25)
    assert row.cost(Price(amount=2.0, currency="EUR")) == 4.5
    assert row.cost(None) is None


def test_gpus_taken_at_once_are_one_allocation() -> None:
    rows = [held(), held(uuid="GPU-2"), held(begin_h=2, purpose="job")]
    assert only(usage(rows, "session", NOW)).allocations == 2
    assert [(row.key, row.allocations) for row in usage(rows, "gpu", NOW)] == [("H100 GPU-1", 2), ("H100 GPU-2", 1)]


def test_only_the_time_after_since_counts() -> None:
    rows = [held(hours=1), held(begin_h=2, hours=4), held("bob", hours=None)]
    found = usage(rows, "learner", NOW, since=BEGIN + timedelta(hours=5))
    assert [(row.key, row.held_s / 3600, row.allocations) for row in found] == [("bob", 5, 1), ("ada", 1, 1)]


def test_utilisation_is_of_what_was_watched_and_unknown_otherwise() -> None:
    rows = [held(busy_s=300, observed_s=600, peak_memory_mib=900), held(begin_h=2, busy_s=0, observed_s=600)]
    row = only(usage(rows, "lab", NOW))
    assert (row.utilization_percent, row.peak_memory_mib) == (25, 900)
    unseen = only(usage([held()], "lab", NOW))
    assert (unseen.utilization_percent, unseen.peak_memory_mib) == (None, None)


@pytest.mark.parametrize("by", ["learner", "lab", "gpu", "session"])
def test_each_way_of_adding_comes_to_the_same(by: str) -> None:
    rows = [held(), held("bob", hours=2, lab="b"), held("eve", uuid="GPU-2", hours=None, peak_memory_mib=5)]
    all_ = total(usage(rows, by, NOW))  # type: ignore[arg-type]
    assert (all_.held_s / 3600, all_.allocations, all_.open, all_.peak_memory_mib) == (13, 3, 1, 5)


def test_nothing_comes_to_nothing() -> None:
    assert usage([], "learner", NOW) == []
    assert total([]).held_s == 0
