"""The log of a class, and its messages: who did what to whose work, kept before and after it is done."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields, replace
from datetime import datetime
from types import ModuleType
from typing import TYPE_CHECKING, Any

from labctl.store.records import Entry, Message, iso, moment

if TYPE_CHECKING:
    import sqlalchemy as sa

Read = Callable[[str, Mapping[str, Any]], Sequence[Mapping[str, Any]]]
Write = Callable[[], AbstractContextManager[tuple["sa.Connection", ModuleType]]]
_TIMES = frozenset({"at", "ended_at", "read_at", "next_at", "delivered_at"})

_ENTRY = "SELECT * FROM audit WHERE id = :id"
_KEYED = "SELECT * FROM audit WHERE cohort = :cohort AND actor = :actor AND key = :key"
_ENTRIES = (
    "SELECT * FROM audit WHERE cohort = :cohort AND (:learner = '' OR learner = :learner) AND (:before = 0 OR id < :before)"
    " ORDER BY id DESC LIMIT :limit"
)
_OPEN = "SELECT * FROM audit WHERE cohort = :cohort AND outcome = '' ORDER BY id"
_LAST = (
    "SELECT * FROM audit WHERE cohort = :cohort AND learner = :learner AND action = :action ORDER BY id DESC LIMIT 1"
)
_MESSAGES = (
    "SELECT * FROM messages WHERE cohort = :cohort AND learner = :learner AND (:unread = 0 OR read_at IS NULL)"
    " ORDER BY id DESC LIMIT :limit"
)


@dataclass(frozen=True, slots=True)
class Journal:
    """The tables `audit` and `messages`. Made by `Store.journal`."""

    _read: Read
    _write: Write

    def begin(self, entry: Entry) -> tuple[Entry, bool]:
        """The entry as it stands in the log, and whether it is new: one with a key is written once, and found from then on."""
        with self._write() as (connection, schema):
            version = schema.tick(connection)
            if entry.key is not None:
                values = {"cohort": entry.cohort, "actor": entry.actor, "key": entry.key}
                found = connection.execute(schema.sa.text(_KEYED), values).mappings().first()
                if found is not None:
                    return entry_of(dict(found)), False
            table = schema.audit
            made = table.insert().values(**_row(entry), version=version)
            id = connection.execute(made.returning(table.c.id)).scalar_one()
        return replace(entry, id=id), True

    def end(self, entry: Entry) -> Entry:
        """Write what came of it: its outcome, words and end. One that has ended keeps its first end."""
        values = {name: _row(entry)[name] for name in ("outcome", "words", "hint", "ended_at", "session")}
        with self._write() as (connection, schema):
            table = schema.audit
            which = (table.c.id == entry.id) & (table.c.outcome == "")
            connection.execute(table.update().where(which).values(**values, version=schema.tick(connection)))
        return entry

    def entry(self, id: int) -> Entry | None:
        rows = self._read(_ENTRY, {"id": id})
        return entry_of(rows[0]) if rows else None

    def entries(self, cohort: str, *, learner: str = "", before: int = 0, limit: int = 50) -> list[Entry]:
        """The log of a cohort, newest first; of one learner only, and older than the entry `before`, where they are given."""
        values = {"cohort": cohort, "learner": learner, "before": before, "limit": limit}
        return [entry_of(row) for row in self._read(_ENTRIES, values)]

    def unfinished(self, cohort: str) -> list[Entry]:
        """What has been begun and has not ended, oldest first: it is being done, or who did it has died."""
        return [entry_of(row) for row in self._read(_OPEN, {"cohort": cohort})]

    def last(self, cohort: str, learner: str, action: str) -> Entry | None:
        """The newest such action on a learner's work."""
        rows = self._read(_LAST, {"cohort": cohort, "learner": learner, "action": action})
        return entry_of(rows[0]) if rows else None

    def keyed(self, entry: Entry) -> Entry | None:
        """What its actor has begun with its key before; None without a key."""
        values = {"cohort": entry.cohort, "actor": entry.actor, "key": entry.key}
        rows = self._read(_KEYED, values) if entry.key is not None else ()
        return entry_of(rows[0]) if rows else None

    def send(self, messages: Sequence[Message]) -> None:
        """Keep messages for their learners, all or none. Those of an entry of the log whose are kept already, are kept."""
        with self._write() as (connection, schema):
            version = schema.tick(connection)
            for message in messages:
                made = schema.inserting(connection, schema.messages).values(**_row(message), version=version)
                connection.execute(made.on_conflict_do_nothing(index_elements=["entry", "learner"]))

    def messages(self, cohort: str, learner: str, *, unread: bool = False, limit: int = 50) -> list[Message]:
        """A learner's messages, newest first."""
        values = {"cohort": cohort, "learner": learner, "unread": int(unread), "limit": limit}
        return [message_of(row) for row in self._read(_MESSAGES, values)]

    def mark_read(self, cohort: str, learner: str, id: int, now: datetime) -> bool:
        """Whether the learner has such a message; it is put away from `now` on, or since it was first."""
        with self._write() as (connection, schema):
            version, table = schema.tick(connection), schema.messages
            which = (table.c.id == id) & (table.c.cohort == cohort) & (table.c.learner == learner)
            read_at = schema.sa.func.coalesce(table.c.read_at, iso(now))
            done = connection.execute(table.update().where(which).values(read_at=read_at, version=version))
            return bool(done.rowcount)


def entry_of(row: Mapping[str, Any]) -> Entry:
    values = dict(_values(Entry, row))
    return Entry(**{**values, "request": json.loads(values["request"])})


def message_of(row: Mapping[str, Any]) -> Message:
    return Message(**dict(_values(Message, row)))


def _row(record: Entry | Message) -> dict[str, Any]:
    """The columns but for the key, which the table gives."""
    values = {field.name: getattr(record, field.name) for field in fields(record) if field.name != "id"}
    values |= {name: iso(value) for name, value in values.items() if name in _TIMES and value is not None}
    return values | ({"request": json.dumps(dict(values["request"]))} if "request" in values else {})


def _values(kind: type[Entry | Message], row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for field in fields(kind):
        value = row[field.name]
        yield field.name, moment(value) if field.name in _TIMES and value else value
