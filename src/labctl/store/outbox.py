"""What is to be posted elsewhere: kept from when it happened until it has arrived, whoever dies in between."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from labctl.store.journal import Read, Write
from labctl.store.records import Delivery, iso, moment

_TIMES = frozenset({"at", "next_at", "delivered_at"})
_DUE = "SELECT * FROM deliveries WHERE cohort = :cohort AND next_at IS NOT NULL AND next_at <= :now ORDER BY next_at, id LIMIT :limit"
_NEXT = "SELECT MIN(next_at) AS next_at FROM deliveries WHERE cohort = :cohort"
_ALL = "SELECT * FROM deliveries WHERE cohort = :cohort AND (:before = 0 OR id < :before) ORDER BY id DESC LIMIT :limit"
_SEEN = "SELECT value FROM meta WHERE key = :key"


@dataclass(frozen=True, slots=True)
class Outbox:
    """The table `deliveries`. Made by `Store.outbox`."""

    _read: Read
    _write: Write

    def seen(self, cohort: str, hook: str) -> int | None:
        """Up to which change the hook has been told; None for one that is new."""
        rows = self._read(_SEEN, {"key": _key(cohort, hook)})
        return int(rows[0]["value"]) if rows else None

    def add(self, cohort: str, hook: str, seen: int, deliveries: Iterable[Delivery]) -> None:
        """Keep what is to be delivered, and that all is told up to the change `seen`: both, or neither. What is kept
        already stays as it is."""
        with self._write() as (connection, schema):
            for each in deliveries:
                made = schema.inserting(connection, schema.deliveries).values(_row(each))
                connection.execute(made.on_conflict_do_nothing(index_elements=["hook", "subject"]))
            schema.put(connection, schema.meta, {"key": _key(cohort, hook), "value": str(seen)})

    def due(self, cohort: str, now: datetime, *, limit: int = 20) -> list[Delivery]:
        """What is to be tried now, the longest due first."""
        return [_of(row) for row in self._read(_DUE, {"cohort": cohort, "now": iso(now), "limit": limit})]

    def next_at(self, cohort: str) -> datetime | None:
        """When something will be due next; None when all has arrived or is given up."""
        rows = self._read(_NEXT, {"cohort": cohort})
        return moment(rows[0]["next_at"]) if rows and rows[0]["next_at"] else None

    def deliveries(self, cohort: str, *, before: int = 0, limit: int = 50) -> list[Delivery]:
        """Everything there was to deliver, newest first."""
        return [_of(row) for row in self._read(_ALL, {"cohort": cohort, "before": before, "limit": limit})]

    def take(self, delivery: Delivery, until: datetime) -> bool:
        """Whether it is this caller's to try: nobody else may until `until`, by when who took it may have died."""
        with self._write() as (connection, schema):
            table = schema.deliveries
            before = iso(delivery.next_at) if delivery.next_at else None
            which = (table.c.id == delivery.id) & (table.c.next_at == before)
            return bool(connection.execute(table.update().where(which).values(next_at=iso(until))).rowcount)

    def settle(self, delivery: Delivery) -> None:
        """Write what came of a try."""
        values = {name: _row(delivery)[name] for name in ("next_at", "attempts", "status", "problem", "delivered_at")}
        with self._write() as (connection, schema):
            table = schema.deliveries
            connection.execute(table.update().where(table.c.id == delivery.id).values(values))


def _key(cohort: str, hook: str) -> str:
    return f"hook:{cohort}:{hook}"


def _row(delivery: Delivery) -> dict[str, Any]:
    values = {field.name: getattr(delivery, field.name) for field in fields(delivery) if field.name != "id"}
    return {name: iso(value) if name in _TIMES and value is not None else value for name, value in values.items()}


def _of(row: Mapping[str, Any]) -> Delivery:
    values: dict[str, Any] = {field.name: row[field.name] for field in fields(Delivery)}
    values |= {name: moment(values[name]) for name in _TIMES if values[name]}
    return Delivery(**values)
