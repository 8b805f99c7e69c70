"""What a class's GPUs cost: its own sessions', shares as shares, at the file's price."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from labctl.hub.board.figures import GpuUse, use_of
from labctl.settings import Price
from labctl.store.records import Held

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)


def held(session: str, hours: float, **more: Any) -> Held:
    values: dict[str, Any] = {
        "sharing": "exclusive",
        "total_mib": 80_000,
        "since": NOW - timedelta(hours=hours),
        **more,
    }
    return Held(session=session, lab="lab", learner="ada", uuid="GPU-1", name="GPU", **values)


def test_gpu_hours_of_the_classes_own_sessions_cost_what_the_file_says() -> None:
    ledger = [
        held("a", 2.0),
        held("a", 5.0, released_at=NOW - timedelta(hours=4)),
        held("b", 4.0, sharing="timeslice", memory_mib=20_000),
        held("of-another-class", 100.0),
    ]
    price = Price(amount=2.5, currency="EUR")
    assert use_of(ledger, {"a", "b"}, price, NOW) == GpuUse(hours=4.0, cost=10.0, currency="EUR")
    assert use_of(ledger, {"a", "b"}, None, NOW) == GpuUse(hours=4.0, cost=None, currency="")
    assert use_of([], {"a"}, price, NOW) == GpuUse(hours=0.0, cost=0.0, currency="EUR")
