"""The tables, and how an older database becomes a newer one. SQLAlchemy Core, so that PostgreSQL serves as well as SQLite."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from labctl.errors import EngineError
from labctl.store.reading import remedy
from labctl.store.url import engine_url, sqlite_path
from labctl.store.version import VERSION, check

metadata = sa.MetaData()

meta = sa.Table(
    "meta", metadata, sa.Column("key", sa.Text, primary_key=True), sa.Column("value", sa.Text, nullable=False)
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("lab", sa.Text, nullable=False, index=True),
    sa.Column("lab_path", sa.Text, nullable=False),
    sa.Column("learner", sa.Text, nullable=False),
    sa.Column("cohort", sa.Text),
    sa.Column("runtime", sa.Text, nullable=False),
    sa.Column("profile", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False, index=True),
    sa.Column("workspace", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("expires_at", sa.Text),
    sa.Column("idle_timeout_s", sa.Float),
    sa.Column("handle", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("place", sa.Text, nullable=False),
    sa.Column("claimed_by", sa.Text, nullable=False),
    sa.Column("why_ended", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False, index=True),
)

reports = sa.Table(
    "reports",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("session", sa.Text, nullable=False, index=True),
    sa.Column("lab", sa.Text, nullable=False),
    sa.Column("learner", sa.Text, nullable=False, index=True),
    sa.Column("started_at", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("score", sa.Integer, nullable=False),
    sa.Column("max_score", sa.Integer, nullable=False),
    sa.Column("as_of", sa.Text),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False, index=True),
)

allocations = sa.Table(
    "allocations",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("session", sa.Text, nullable=False, index=True),
    sa.Column("lab", sa.Text, nullable=False),
    sa.Column("learner", sa.Text, nullable=False),
    sa.Column("uuid", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("sharing", sa.Text, nullable=False),
    sa.Column("memory_mib", sa.Integer),
    sa.Column("total_mib", sa.Integer),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("place", sa.Text, nullable=False),
    sa.Column("since", sa.Text, nullable=False),
    sa.Column("released_at", sa.Text, index=True),
    sa.Column("why_released", sa.Text, nullable=False),
    sa.Column("active_at", sa.Text),
    sa.Column("warned_at", sa.Text),
    sa.Column("seen_at", sa.Text),
    sa.Column("marker", sa.Text, nullable=False),
    sa.Column("peak_memory_mib", sa.Integer),
    sa.Column("busy_s", sa.Float, nullable=False),
    sa.Column("observed_s", sa.Float, nullable=False),
)

waiting = sa.Table(
    "waiting",
    metadata,
    sa.Column("session", sa.Text, primary_key=True),
    sa.Column("lab", sa.Text, nullable=False),
    sa.Column("learner", sa.Text, nullable=False),
    sa.Column("place", sa.Text, nullable=False),
    sa.Column("need", sa.Text, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("since", sa.Text, nullable=False),
    sa.Column("seen_at", sa.Text, nullable=False),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("cohort", sa.Text, nullable=False, index=True),
    sa.Column("learner", sa.Text, nullable=False, index=True),
    sa.Column("lab", sa.Text, nullable=False),
    sa.Column("session", sa.Text, nullable=False),
    sa.Column("request", sa.Text, nullable=False),
    sa.Column("key", sa.Text),
    sa.Column("outcome", sa.Text, nullable=False, index=True),
    sa.Column("words", sa.Text, nullable=False),
    sa.Column("hint", sa.Text, nullable=False),
    sa.Column("ended_at", sa.Text),
    sa.Column("version", sa.Integer, nullable=False, index=True),
    sa.UniqueConstraint("cohort", "actor", "key", name="uq_audit_key"),
)

messages = sa.Table(
    "messages",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("cohort", sa.Text, nullable=False),
    sa.Column("learner", sa.Text, nullable=False, index=True),
    sa.Column("sender", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("entry", sa.Integer),
    sa.Column("read_at", sa.Text),
    sa.Column("version", sa.Integer, nullable=False, index=True),
    sa.UniqueConstraint("entry", "learner", name="uq_messages_entry"),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("hook", sa.Text, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("cohort", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("next_at", sa.Text, index=True),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("problem", sa.Text, nullable=False),
    sa.Column("delivered_at", sa.Text),
    sa.UniqueConstraint("hook", "subject", name="uq_deliveries_subject"),
)


def _to_version_2(connection: sa.Connection) -> None:
    """GPUs leave the sessions' rows for a table of their own, which is also the ledger."""
    metadata.create_all(connection, tables=[allocations, waiting])
    for row in connection.execute(sa.text("SELECT * FROM sessions WHERE state <> 'STOPPED'")).mappings().all():
        for gpu in json.loads(row["gpus"]):
            values = {name: gpu.get(name) for name in ("uuid", "name", "sharing", "memory_mib", "total_mib")}
            held = {"session": row["id"], "lab": row["lab"], "learner": row["learner"], "since": row["created_at"]}
            rest = {
                "purpose": "session",
                "place": "",
                "why_released": "",
                "marker": "",
                "busy_s": 0.0,
                "observed_s": 0.0,
            }
            connection.execute(allocations.insert().values({**values, **held, **rest}))
    connection.exec_driver_sql("ALTER TABLE sessions DROP COLUMN gpus")
    connection.exec_driver_sql("ALTER TABLE sessions ADD COLUMN place TEXT NOT NULL DEFAULT ''")


def _to_version_3(connection: sa.Connection) -> None:
    """Sessions may be started for nobody yet, and claimed; a report may be of what stood at an earlier moment."""
    connection.exec_driver_sql("ALTER TABLE reports ADD COLUMN as_of TEXT")
    connection.exec_driver_sql("ALTER TABLE sessions ADD COLUMN claimed_by TEXT NOT NULL DEFAULT ''")


def _to_version_4(connection: sa.Connection) -> None:
    """A class has a log, messages and what is posted elsewhere; every row says with which change it came."""
    metadata.create_all(connection, tables=[audit, messages, deliveries])
    connection.exec_driver_sql("ALTER TABLE sessions ADD COLUMN why_ended TEXT NOT NULL DEFAULT ''")
    for table in ("sessions", "reports"):
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN version INTEGER NOT NULL DEFAULT 1")
        connection.exec_driver_sql(f"CREATE INDEX ix_{table}_version ON {table} (version)")
    connection.execute(meta.insert().values(key=CHANGED, value="1"))


CHANGED = "changed"
"""The key in `meta` of the number that rises with every change."""
_UPGRADING = 0x6C616263746C  # "labctl": a number that no other program's advisory lock is likely to have

UPGRADES: dict[int, Callable[[sa.Connection], None]] = {1: _to_version_2, 2: _to_version_3, 3: _to_version_4}
"""From version N to N + 1."""


def open_engine(url: str) -> sa.Engine:
    """A connection pool to the database at `url`, its tables there and of this version. Raises EngineError."""
    path = sqlite_path(url)
    if path is not None:
        _make_folder(path.parent)
    try:
        engine = sa.create_engine(engine_url(url), connect_args={"timeout": 30} if path else {})
        if path is not None:
            sa.event.listen(engine, "connect", _pragmas)
            sa.event.listen(engine, "begin", _take_write_lock)
        with engine.begin() as connection:
            _upgrade(connection)
    except (sa.exc.SQLAlchemyError, ImportError) as error:
        raise EngineError(
            f"the database {_shown(url)} cannot be used: {_first_line(error)}", _remedy(path, error)
        ) from error
    return engine


def lock_allocations(connection: sa.Connection) -> None:
    """Nobody else's choice comes between ours. SQLite's transactions exclude each other anyway."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE allocations, waiting IN EXCLUSIVE MODE")


def tick(connection: sa.Connection) -> int:
    """The number of this change; call it first in a transaction. Those that others make come after this one has ended.

    It is one row that they all want: who would take it after other rows could wait for somebody who waits for them.
    """
    number = sa.cast(sa.cast(meta.c.value, sa.Integer) + 1, sa.Text)
    connection.execute(meta.update().where(meta.c.key == CHANGED).values(value=number))
    return int(connection.execute(sa.select(meta.c.value).where(meta.c.key == CHANGED)).scalar_one())


def put(connection: sa.Connection, table: sa.Table, values: Mapping[str, Any]) -> None:
    """Insert the row, or replace the one with its key: as one statement, so that two processes may do it at once."""
    made = inserting(connection, table).values(values)
    keys = [column.name for column in table.primary_key]
    rest = {name: made.excluded[name] for name in values if name not in keys}
    connection.execute(made.on_conflict_do_update(index_elements=keys, set_=rest))


def inserting(connection: sa.Connection, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    """An insert that can say what becomes of a row that is there already."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def _upgrade(connection: sa.Connection) -> None:
    if connection.dialect.name == "postgresql":  # two processes must not make the tables at once; SQLite has them wait
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_UPGRADING)))
    if not sa.inspect(connection).has_table("meta"):
        metadata.create_all(connection)
        first = {"version": str(VERSION), CHANGED: "0"}
        connection.execute(meta.insert().values([{"key": key, "value": value} for key, value in first.items()]))
        return
    found = int(connection.execute(sa.select(meta.c.value).where(meta.c.key == "version")).scalar_one())
    check(found)
    for version in range(found, VERSION):
        UPGRADES[version](connection)
    connection.execute(meta.update().where(meta.c.key == "version").values(value=str(VERSION)))


def _pragmas(connection: object, _record: object) -> None:
    connection.isolation_level = None  # type: ignore[attr-defined]  # SQLAlchemy's own recipe: transactions are ours
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=30000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _take_write_lock(connection: sa.Connection) -> None:
    """At once, not at the first write: two processes then never both read before either writes."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _make_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _shown(url: str) -> str:
    return sa.make_url(url).render_as_string(hide_password=True) if "://" in url else url


def _remedy(path: Path | None, error: Exception) -> str:
    if isinstance(error, ImportError):
        return "PostgreSQL needs psycopg: `pip install 'labctl[postgresql]'`"
    if path is None:
        return "check LABCTL_DATABASE_URL and that the server runs; `labctl doctor` shows the setting"
    return remedy(path, str(error))
