"""Who holds which GPU, who held it, and who waits: read, choose and record in one transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from types import ModuleType
from typing import TYPE_CHECKING, Any

from labctl.store.records import Held, Waiting, iso, moment

if TYPE_CHECKING:
    import sqlalchemy as sa

OPEN = "SELECT * FROM allocations WHERE released_at IS NULL ORDER BY id"
EVERY = "SELECT * FROM allocations ORDER BY id"
WAITING = "SELECT * FROM waiting ORDER BY priority DESC, since, session"
_TIMES = frozenset({"since", "released_at", "active_at", "warned_at", "seen_at"})


class Allocations:
    """The tables within one transaction that nobody else can come between. Made by `Store.allocating`."""

    def __init__(self, connection: sa.Connection, schema: ModuleType) -> None:
        self._connection = connection
        self._schema = schema

    def held(self) -> list[Held]:
        """Everything that is held now, oldest first."""
        return [held_of(row) for row in self._rows(OPEN)]

    def waiting(self) -> list[Waiting]:
        """The queue, first in line first."""
        return [waiting_of(row) for row in self._rows(WAITING)]

    def take(self, held: Sequence[Held]) -> None:
        """Record new holdings."""
        for each in held:
            values = row_of(each)
            del values["id"]
            self._connection.execute(self._schema.allocations.insert().values(values))

    def update(self, held: Held) -> None:
        """Replace a row, found by its `id`. One that has been released meanwhile keeps its end."""
        table = self._schema.allocations
        values = {name: value for name, value in row_of(held).items() if name not in ("id", "since")}
        if held.released_at is None:
            del values["released_at"], values["why_released"]
        self._connection.execute(table.update().where(table.c.id == held.id).values(values))

    def release(self, session: str, now: datetime, why: str, *, purpose: str | None = None) -> int:
        """End what `session` holds (of one `purpose`, or all of it); how many GPUs that were."""
        table = self._schema.allocations
        which = (table.c.session == session) & table.c.released_at.is_(None)
        if purpose is not None:
            which &= table.c.purpose == purpose
        done = self._connection.execute(table.update().where(which).values(released_at=iso(now), why_released=why))
        return int(done.rowcount)

    def release_row(self, id: int | None, now: datetime, why: str) -> None:
        """End one holding, found by its `id`."""
        table = self._schema.allocations
        which = (table.c.id == id) & table.c.released_at.is_(None)
        self._connection.execute(table.update().where(which).values(released_at=iso(now), why_released=why))

    def wait(self, waiting: Waiting) -> None:
        """Stand in the queue, or show that one still does; the place and the time of coming stay."""
        table = self._schema.waiting
        values = row_of(waiting)
        kept = {name: values[name] for name in ("seen_at", "need", "priority", "place")}
        again = self._connection.execute(table.update().where(table.c.session == waiting.session).values(kept))
        if again.rowcount == 0:
            self._connection.execute(table.insert().values(values))

    def leave(self, session: str) -> None:
        """Leave the queue; leaving again does nothing."""
        table = self._schema.waiting
        self._connection.execute(table.delete().where(table.c.session == session))

    def _rows(self, query: str) -> list[Mapping[str, Any]]:
        return [dict(row) for row in self._connection.execute(self._schema.sa.text(query)).mappings()]


def held_of(row: Mapping[str, Any]) -> Held:
    return Held(**_values(Held, row))


def waiting_of(row: Mapping[str, Any]) -> Waiting:
    values = _values(Waiting, row)
    return Waiting(**{**values, "need": json.loads(values["need"])})


def gpu_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """A held GPU as `Session.gpus` has it."""
    return {name: row[name] for name in ("uuid", "name", "memory_mib", "sharing", "total_mib")}


def row_of(record: Held | Waiting) -> dict[str, Any]:
    """The columns of a record as the tables hold them."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    values |= {name: iso(value) for name, value in values.items() if name in _TIMES and value is not None}
    if "need" in values:
        values["need"] = json.dumps(dict(values["need"]))
    return values


def _values(kind: type[Held | Waiting], row: Mapping[str, Any]) -> dict[str, Any]:
    names = [field.name for field in fields(kind)]
    return {name: moment(row[name]) if name in _TIMES and row[name] else row[name] for name in names}
