"""What the driver's own account of processes adds to the ledger: what came and went between two looks. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from labctl.store.records import Held

if TYPE_CHECKING:
    from labctl.gpus.accounting import Accounted


def accounted(row: Held, accounts: Iterable[Accounted], own: Collection[int], now: datetime) -> Held:
    """`row` with what is on its GPU's account; unchanged where there is none.

    Whoever was on a GPU since a session has it for itself was the session's. On a shared one only processes that run and
    are known to be the session's (`own`, by process id) are, and only their memory: a GPU's time is not told apart there.
    """
    since_us = row.since.timestamp() * 1e6
    its = [each for each in accounts if each.uuid == row.uuid and each.started_us >= since_us]
    if row.sharing != "exclusive":
        its = [each for each in its if each.running and each.pid in own]
    peaks = [each.max_memory_mib for each in its if each.max_memory_mib is not None]
    row = replace(
        row, peak_memory_mib=max([*peaks, *([row.peak_memory_mib] if row.peak_memory_mib else [])], default=None)
    )
    if not its or row.sharing != "exclusive":
        return row
    held_s = max(row.observed_s, (now - row.since).total_seconds())
    busy_s = sum(_lasted_s(each, now) * (each.utilization_percent or 0) / 100 for each in its)
    return replace(row, busy_s=min(held_s, max(row.busy_s, busy_s)), observed_s=held_s)


def _lasted_s(account: Accounted, now: datetime) -> float:
    if account.running:
        return max(0.0, now.timestamp() - account.started_us / 1e6)
    return account.time_ms / 1000
