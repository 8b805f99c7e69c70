"""A database of any past version is brought up to date by whatever opens it first, on SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from labctl.settings import Settings
from labctl.store.records import Entry, SessionState
from labctl.store.schema import metadata, open_engine
from labctl.store.store import Store
from labctl.store.url import database_url, engine_url, sqlite_path
from labctl.store.version import VERSION

VERSION_1 = """
CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO meta VALUES ('version', '1');
CREATE TABLE sessions (
  id TEXT NOT NULL PRIMARY KEY, lab TEXT NOT NULL, lab_path TEXT NOT NULL, learner TEXT NOT NULL, cohort TEXT,
  runtime TEXT NOT NULL, profile TEXT NOT NULL, state TEXT NOT NULL, workspace TEXT NOT NULL, created_at TEXT NOT NULL,
  expires_at TEXT, idle_timeout_s FLOAT, handle TEXT NOT NULL, gpus TEXT NOT NULL, fingerprint TEXT NOT NULL,
  detail TEXT NOT NULL);
CREATE INDEX ix_sessions_lab ON sessions (lab);
CREATE INDEX ix_sessions_state ON sessions (state);
CREATE TABLE reports (
  id {NUMBER}, session TEXT NOT NULL, lab TEXT NOT NULL, learner TEXT NOT NULL,
  started_at TEXT NOT NULL, outcome TEXT NOT NULL, score INTEGER NOT NULL, max_score INTEGER NOT NULL,
  body TEXT NOT NULL)
"""
TO_VERSION_2 = """
CREATE TABLE allocations (
  id {NUMBER}, session TEXT NOT NULL, lab TEXT NOT NULL, learner TEXT NOT NULL, uuid TEXT NOT NULL,
  name TEXT NOT NULL, sharing TEXT NOT NULL, memory_mib INTEGER, total_mib INTEGER, purpose TEXT NOT NULL,
  place TEXT NOT NULL, since TEXT NOT NULL, released_at TEXT, why_released TEXT NOT NULL, active_at TEXT, warned_at TEXT,
  seen_at TEXT, marker TEXT NOT NULL, peak_memory_mib INTEGER, busy_s FLOAT NOT NULL, observed_s FLOAT NOT NULL);
CREATE TABLE waiting (
  session TEXT NOT NULL PRIMARY KEY, lab TEXT NOT NULL, learner TEXT NOT NULL, place TEXT NOT NULL, need TEXT NOT NULL,
  priority INTEGER NOT NULL, since TEXT NOT NULL, seen_at TEXT NOT NULL);
ALTER TABLE sessions DROP COLUMN gpus;
ALTER TABLE sessions ADD COLUMN place TEXT NOT NULL DEFAULT '';
UPDATE meta SET value = '2' WHERE key = 'version'
"""
TO_VERSION_3 = """
ALTER TABLE reports ADD COLUMN as_of TEXT;
ALTER TABLE sessions ADD COLUMN claimed_by TEXT NOT NULL DEFAULT '';
UPDATE meta SET value = '3' WHERE key = 'version'
"""
PAST = {1: VERSION_1, 2: VERSION_1 + ";" + TO_VERSION_2, 3: VERSION_1 + ";" + TO_VERSION_2 + ";" + TO_VERSION_3}
"""The tables as each version made them."""
_GPU = '[{"uuid": "GPU-1", "name": "A100", "memory_mib": 40960, "sharing": "exclusive"}]'
_SINCE = "2026-01-02T03:04:05Z"
_REPORT = {
    "session": "a--ada",
    "lab": "a",
    "learner": "ada",
    "started_at": _SINCE,
    "outcome": "pass",
    "score": 10,
    "max_score": 10,
    "body": '{"score": 10}',
}


def make(chosen: Settings, version: int) -> None:
    """A database of that version, with a running and an ended session of a class, and a report."""
    url = database_url(chosen)
    path = sqlite_path(url)
    if path is not None:
        path.parent.mkdir(parents=True)
    number = "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT" if path else "SERIAL PRIMARY KEY"
    engine = sa.create_engine(engine_url(url))
    with engine.begin() as connection:
        for statement in PAST[version].replace("{NUMBER}", number).split(";"):
            connection.exec_driver_sql(statement)
        for id, state in (("a--ada", "RUNNING"), ("a--bob", "STOPPED")):
            _insert(connection, "sessions", _session(version, id, state))
        if version > 1:
            _insert(connection, "allocations", _held())
        _insert(connection, "reports", _REPORT)
    engine.dispose()


def _session(version: int, id: str, state: str) -> dict[str, object]:
    names = ("lab_path", "workspace", "handle", "fingerprint", "detail")
    values: dict[str, object] = dict(zip(names, ("/labs/a", "/w", "{}", "f", ""), strict=True))
    more = {"id": id, "lab": "a", "learner": "ada", "cohort": "autumn", "runtime": "local", "profile": "gpu"}
    return {**values, **more, "state": state, "created_at": _SINCE, **({"gpus": _GPU} if version == 1 else {})}


def _held() -> dict[str, object]:
    names = ("place", "why_released", "marker")
    values: dict[str, object] = {**dict.fromkeys(names, ""), "busy_s": 0.0, "observed_s": 0.0, "purpose": "session"}
    gpu = {"uuid": "GPU-1", "name": "A100", "memory_mib": 40960, "sharing": "exclusive"}
    return {**values, **gpu, "session": "a--ada", "lab": "a", "learner": "ada", "since": _SINCE}


def _insert(connection: sa.Connection, table: str, values: dict[str, object]) -> None:
    columns = ", ".join(values)
    connection.execute(
        sa.text(f"INSERT INTO {table} ({columns}) VALUES ({', '.join(f':{each}' for each in values)})"), values
    )


@pytest.fixture(params=sorted(PAST))
def old(request: pytest.FixtureRequest, chosen: Settings) -> Settings:
    make(chosen, request.param)
    return chosen


def test_reading_alone_brings_it_up_to_date_and_loses_nothing(old: Settings) -> None:
    session = Store(old).session("a--ada")
    assert session is not None
    assert (session.state, session.fingerprint) == (SessionState.RUNNING, "f")
    assert [(gpu["uuid"], gpu["sharing"]) for gpu in session.gpus] == [("GPU-1", "exclusive")]
    assert Store(old).reports("a--ada") == [{"score": 10}]


def test_what_live_sessions_hold_is_in_the_ledger_from_then_on(old: Settings) -> None:
    (held,) = Store(old).held()
    assert (held.session, held.uuid, held.memory_mib, held.released_at) == ("a--ada", "GPU-1", 40960, None)
    assert held.since == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert Store(old).held(released=True) == [held]


def test_it_is_written_to_as_a_new_one_is(old: Settings) -> None:
    store = Store(old)
    session = store.session("a--bob")
    assert session is not None
    store.set_state(session, SessionState.RUNNING)
    assert {each.id for each in Store(old).sessions(live=True)} == {"a--ada", "a--bob"}
    at = datetime(2026, 1, 2, tzinfo=UTC)
    store.journal.begin(Entry(at=at, actor="eve", role="instructor", action="end", cohort="autumn", learner="ada"))
    assert [entry.actor for entry in store.journal.entries("autumn")] == ["eve"]


def test_everything_that_was_there_has_changed_for_whoever_looks_first(old: Settings) -> None:
    changes = Store(old).changes("autumn")
    assert {session.id for session in changes.sessions} == {"a--ada", "a--bob"}
    assert [attempt.score for attempt in changes.attempts["a--ada"]] == [10]
    assert changes.reports["a--ada"] == {"score": 10}


def test_it_has_the_tables_and_columns_of_a_new_one(old: Settings) -> None:
    engine = open_engine(database_url(old))
    try:
        seen = sa.inspect(engine)
        columns = {table: {column["name"] for column in seen.get_columns(table)} for table in seen.get_table_names()}
        with engine.begin() as connection:
            version = connection.execute(sa.text("SELECT value FROM meta WHERE key = 'version'")).scalar_one()
    finally:
        engine.dispose()
    assert version == str(VERSION)
    assert columns == {name: {column.name for column in table.columns} for name, table in metadata.tables.items()}


def test_there_is_a_past_database_for_every_version() -> None:
    assert sorted(PAST) == list(range(1, VERSION))
