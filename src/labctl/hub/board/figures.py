"""What GPUs a class has had, and what that costs."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from labctl.hub.board.room import Room
from labctl.sessions.usage import HOUR_S, total, usage
from labctl.settings import Price
from labctl.store.records import Held


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuUse:
    """Hours of GPUs, a share of one counted as that share; `cost` is None without a price."""

    hours: float = 0.0
    cost: float | None = None
    currency: str = ""


def gpu_use(room: Room) -> GpuUse:
    """Of all sessions of the room's cohort, from their beginning until now."""
    ctx, cohort = room.ctx, room.cohort
    sessions = {session.id for session in ctx.store.sessions() if session.cohort == cohort.name}
    price = (
        Price(amount=cohort.cost.gpu_hour, currency=cohort.cost.currency)
        if cohort.cost
        else ctx.settings.gpu_hour_price
    )
    return use_of(ctx.store.held(released=True), sessions, price, ctx.now())


def use_of(held: Iterable[Held], sessions: Collection[str], price: Price | None, now: datetime) -> GpuUse:
    """What of the ledger `held` belongs to these sessions, added up. Pure."""
    whole = total(usage([row for row in held if row.session in sessions], "session", now))
    return GpuUse(hours=whole.shared_s / HOUR_S, cost=whole.cost(price), currency=price.currency if price else "")
