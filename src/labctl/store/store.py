"""The one store: sessions, allocations and reports. Reading SQLite takes the standard library only, writing loads SQLAlchemy.

Reading is what `list`, `status` and an `up` with nothing to do wait for, and importing SQLAlchemy costs more than all of
their work. The queries are the same text for both.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import datetime
from types import ModuleType
from typing import TYPE_CHECKING, Any

from labctl.errors import EngineError
from labctl.settings import Settings
from labctl.store import allocations, changes, reading
from labctl.store.allocations import Allocations
from labctl.store.changes import Changes
from labctl.store.journal import Journal, entry_of, message_of
from labctl.store.outbox import Outbox
from labctl.store.records import Attempt, Held, Progress, Session, SessionState, Waiting, iso, moment
from labctl.store.url import database_url, sqlite_path
from labctl.store.version import Outdated

if TYPE_CHECKING:
    import sqlalchemy as sa

    from labctl.outcomes import Report

_ONE = "SELECT * FROM sessions WHERE id = :id"
_ALL = "SELECT * FROM sessions ORDER BY created_at, id"
_LIVE = "SELECT * FROM sessions WHERE state <> 'STOPPED' ORDER BY created_at, id"
_GPUS = "SELECT * FROM allocations WHERE released_at IS NULL AND purpose = 'session' ORDER BY id"
_PROGRESS = "SELECT lab, MAX(score) AS score, max_score FROM reports WHERE learner = :learner GROUP BY lab, max_score"
_BODY = "SELECT body FROM reports WHERE id = :id"
_SCORES = "SELECT id, session, score, max_score, outcome, COALESCE(as_of, started_at) AS at FROM reports ORDER BY id"
_SCORES_OF = (
    "SELECT id, session, score, max_score, outcome, COALESCE(as_of, started_at) AS at FROM reports"
    " WHERE session = :session ORDER BY id"
)
_REPORTS = "SELECT body FROM reports WHERE session = :session ORDER BY id DESC LIMIT :limit"


class Store:
    """Sessions, allocations and reports of one LABCTL_HOME (or one shared database). Safe to use from several processes at once."""

    def __init__(self, settings: Settings) -> None:
        self.url = database_url(settings)
        self._engine: sa.Engine | None = None

    def session(self, id: str) -> Session | None:
        """The session with this id, live or stopped."""
        rows = self._read(_ONE, {"id": id})
        return _session(rows[0], self._gpus()) if rows else None

    def sessions(self, *, live: bool = False) -> list[Session]:
        """Every session, oldest first; only those that may hold something when `live`."""
        rows = self._read(_LIVE if live else _ALL, {})
        gpus = self._gpus() if rows else {}
        return [_session(row, gpus) for row in rows]

    def held(self, *, released: bool = False) -> list[Held]:
        """Every GPU that is held now, oldest first; with `released`, the whole ledger."""
        return [allocations.held_of(row) for row in self._read(allocations.EVERY if released else allocations.OPEN, {})]

    def waiting(self) -> list[Waiting]:
        """The queue for GPUs, first in line first."""
        return [allocations.waiting_of(row) for row in self._read(allocations.WAITING, {})]

    @contextmanager
    def allocating(self) -> Iterator[Allocations]:
        """One transaction over the allocations: nobody else reads or writes them for choosing until it ends."""
        with self._write() as (connection, schema):
            schema.lock_allocations(connection)
            yield Allocations(connection, schema)

    def progress(self, learner: str) -> dict[str, Progress]:
        """Best share of the points of each lab that this learner has verified; a lab's points may have changed since."""
        attempts = sorted(
            (Progress(**row) for row in self._read(_PROGRESS, {"learner": learner})),
            key=lambda best: best.score / max(1, best.max_score),
        )
        return {best.lab: best for best in attempts}

    def attempts(self) -> dict[str, list[Attempt]]:
        """Every verification there was, by session, oldest first."""
        return {session: list(found) for session, found in changes.attempts_of(self._read(_SCORES, {})).items()}

    def attempts_of(self, session: str) -> list[Attempt]:
        """Every verification of one session, oldest first."""
        return list(changes.attempts_of(self._read(_SCORES_OF, {"session": session})).get(session, ()))

    def reports(self, session: str, *, limit: int = 20) -> list[dict[str, Any]]:
        """The latest reports of a session as JSON values, newest first."""
        return [json.loads(row["body"]) for row in self._read(_REPORTS, {"session": session, "limit": limit})]

    def report(self, attempt: Attempt) -> dict[str, Any]:
        """The whole report of an attempt, as JSON values."""
        values: dict[str, Any] = json.loads(self._read(_BODY, {"id": attempt.id})[0]["body"])
        return values

    @property
    def journal(self) -> Journal:
        """The log of classes, and their messages."""
        return Journal(self._read, self._write)

    @property
    def outbox(self) -> Outbox:
        """What is to be posted elsewhere."""
        return Outbox(self._read, self._write)

    def version(self) -> int:
        """A number that rises with every change of a session, report, message or log; 0 before the first."""
        rows = self._read(changes.VERSION, {})
        return int(rows[0]["value"]) if rows else 0

    def changes(self, cohort: str, since: int = 0) -> Changes:
        """What of the cohort has changed after the version `since`; all of it after 0."""
        version = self.version()  # first: what changes from here on is told again the next time
        if version <= since:
            return Changes(version=version)
        values = {"cohort": cohort, "since": since}
        rows = self._read(changes.SESSIONS, values)
        gpus = self._gpus() if rows else {}
        return Changes(
            version=version,
            sessions=tuple(_session(row, gpus) for row in rows),
            attempts=changes.attempts_of(self._read(changes.REPORTS, values)),
            reports=changes.bodies_of(self._read(changes.BODIES, values)),
            entries=tuple(map(entry_of, self._read(changes.ENTRIES, values))),
            messages=tuple(map(message_of, self._read(changes.MESSAGES, values))),
        )

    def put(self, session: Session) -> Session:
        """Insert or replace a session. Its GPUs are the allocations' to keep."""
        values = _row(session)
        with self._write() as (connection, schema):
            schema.put(connection, schema.sessions, {**values, "version": schema.tick(connection)})
        return session

    def claim(self, cohort: str, lab: str, spares: str, learner: str) -> Session | None:
        """A running session of the cohort that nobody has yet, `learner`'s from now on; None when there is none left.

        `spares` is how the names of those begin that were started for nobody. Two who claim at once get two.
        """
        with self._write() as (connection, schema):
            version, table = schema.tick(connection), schema.sessions
            free = schema.sa.select(table.c.id).where(
                table.c.cohort == cohort,
                table.c.lab == lab,
                table.c.state == SessionState.RUNNING.value,
                table.c.learner.startswith(spares, autoescape=True),
                table.c.claimed_by == "",
            )
            first = free.order_by(table.c.created_at, table.c.id).limit(1).with_for_update(skip_locked=True)
            id = connection.execute(first).scalar_one_or_none()
            if id is None:
                return None
            connection.execute(table.update().where(table.c.id == id).values(claimed_by=learner, version=version))
        return self.session(id)

    def set_state(self, session: Session, state: SessionState, detail: str = "") -> Session:
        """The session in its new state, stored."""
        return self.put(replace(session, state=state, detail=detail))

    def add_report(self, report: Report, as_of: datetime | None = None) -> None:
        """Keep a report; every attempt is kept. `as_of` is the moment whose state it is of, when that is not its own."""
        body = report.to_json()
        columns = ("session", "lab", "learner", "started_at", "outcome", "score", "max_score")
        with self._write() as (connection, schema):
            values = {name: body[name] for name in columns} | {"body": json.dumps(body), "as_of": as_of and iso(as_of)}
            connection.execute(schema.reports.insert().values(**values, version=schema.tick(connection)))

    def _read(self, query: str, values: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        path = sqlite_path(self.url)
        if path is None:
            with self._write() as (connection, schema):
                return [dict(row) for row in connection.execute(schema.sa.text(query), dict(values)).mappings()]
        try:
            return reading.rows(path, query, values)
        except Outdated:
            with self._write():  # opening it brings it up to date
                return reading.rows(path, query, values)

    def _gpus(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for row in self._read(_GPUS, {}):
            found.setdefault(row["session"], []).append(allocations.gpu_of(row))
        return found

    @contextmanager
    def _write(self) -> Iterator[tuple[sa.Connection, ModuleType]]:
        from labctl.store import schema  # loads SQLAlchemy: only here

        if self._engine is None:
            self._engine = schema.open_engine(self.url)
            weakref.finalize(self, self._engine.dispose)  # a server's connections end with whoever used them
        with self._engine.begin() as connection:
            yield connection, schema


def _session(row: Mapping[str, Any], gpus: Mapping[str, list[dict[str, Any]]]) -> Session:
    try:
        return _parsed({**row, "gpus": tuple(gpus.get(row["id"], ()))})
    except (KeyError, ValueError, TypeError) as error:
        raise EngineError(
            f"the database has a session that this labctl cannot read: {error!r}",
            "upgrade labctl, or move the database aside; sessions are found again by `labctl gc`",
        ) from error


def _parsed(row: Mapping[str, Any]) -> Session:
    values = {field.name: row[field.name] for field in fields(Session)}
    values["state"] = SessionState(row["state"])
    values["created_at"] = moment(row["created_at"])
    values["expires_at"] = moment(row["expires_at"]) if row["expires_at"] else None
    values["handle"] = json.loads(row["handle"])
    return Session(**values)


def _row(session: Session) -> dict[str, Any]:
    values = {field.name: getattr(session, field.name) for field in fields(session)}
    values["state"] = session.state.value
    values["created_at"] = iso(session.created_at)
    values["expires_at"] = iso(session.expires_at) if session.expires_at else None
    values["handle"] = json.dumps(dict(session.handle))
    del values["gpus"]
    return values
