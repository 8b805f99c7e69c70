"""The ledger of GPUs, added up: who held how much for how long, and how well it was used. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from labctl.sessions.gpus import gpu
from labctl.settings import Price
from labctl.store.records import Held

By = Literal["learner", "lab", "gpu", "session"]
KEYS: dict[By, Callable[[Held], str]] = {
    "learner": lambda row: row.learner,
    "lab": lambda row: row.lab,
    "gpu": lambda row: f"{row.name} {row.uuid}",
    "session": lambda row: row.session,
}
HOUR_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one learner, lab, GPU or session has had.

    `held_s` are seconds times GPUs; `shared_s` the same, a GPU that is shared counted by the share of its memory.
    `allocations` counts how often GPUs were taken, of which `open` are held still. `busy_s` of full use were seen in
    `observed_s`; `peak_memory_mib` is the most on one GPU, None where nobody has looked.
    """

    key: str
    held_s: float
    shared_s: float
    allocations: int
    open: int
    busy_s: float
    observed_s: float
    peak_memory_mib: int | None

    @property
    def utilization_percent(self) -> float | None:
        """Of the time that was watched; None when none was."""
        return 100 * self.busy_s / self.observed_s if self.observed_s else None

    def cost(self, price: Price | None) -> float | None:
        """None without a price."""
        return self.shared_s / HOUR_S * price.amount if price else None


def usage(held: Iterable[Held], by: By, now: datetime, *, since: datetime | None = None) -> list[Usage]:
    """A row for each learner, lab, GPU or session, most GPU time first.

    What is held still counts until `now`; of what began before `since` only the time after it does. Peaks and utilisation
    are of whole allocations.
    """
    rows: dict[str, list[Held]] = {}
    for row in held:
        if since is None or row.released_at is None or row.released_at > since:
            rows.setdefault(KEYS[by](row), []).append(row)
    found = [_sum(key, its, now, since) for key, its in rows.items()]
    return sorted(found, key=lambda each: (-each.shared_s, each.key))


def total(rows: Iterable[Usage]) -> Usage:
    """All of them together. An allocation of several GPUs counts once for each GPU when rows are GPUs."""
    rows = list(rows)
    peaks = [row.peak_memory_mib for row in rows if row.peak_memory_mib is not None]
    return Usage(
        key="total",
        held_s=sum(row.held_s for row in rows),
        shared_s=sum(row.shared_s for row in rows),
        allocations=sum(row.allocations for row in rows),
        open=sum(row.open for row in rows),
        busy_s=sum(row.busy_s for row in rows),
        observed_s=sum(row.observed_s for row in rows),
        peak_memory_mib=max(peaks, default=None),
    )


def _sum(key: str, rows: list[Held], now: datetime, since: datetime | None) -> Usage:
    lasted = [(row, _seconds(row, now, since)) for row in rows]
    peaks = [row.peak_memory_mib for row in rows if row.peak_memory_mib is not None]
    return Usage(
        key=key,
        held_s=sum(seconds for _, seconds in lasted),
        shared_s=sum(seconds * gpu(row).fraction for row, seconds in lasted),
        allocations=_allocations(rows),
        open=_allocations(row for row in rows if row.released_at is None),
        busy_s=sum(row.busy_s for row in rows),
        observed_s=sum(row.observed_s for row in rows),
        peak_memory_mib=max(peaks, default=None),
    )


def _allocations(rows: Iterable[Held]) -> int:
    """Several GPUs that were taken at once are one."""
    return len({(row.session, row.purpose, row.since) for row in rows})


def _seconds(row: Held, now: datetime, since: datetime | None) -> float:
    begin = max(row.since, since) if since else row.since
    return max(0.0, ((row.released_at or now) - begin).total_seconds())
