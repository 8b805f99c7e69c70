"""A database of the first version is brought up to date by whatever opens it first."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from labctl import settings
from labctl.settings import Settings
from labctl.store.records import SessionState
from labctl.store.store import Store

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
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, session TEXT NOT NULL, lab TEXT NOT NULL, learner TEXT NOT NULL,
  started_at TEXT NOT NULL, outcome TEXT NOT NULL, score INTEGER NOT NULL, max_score INTEGER NOT NULL,
  body TEXT NOT NULL);
INSERT INTO reports VALUES (1, 'a--ada', 'a', 'ada', '2026-01-02T03:04:05Z', 'pass', 10, 10, '{"score": 10}');
"""
_ROW = "INSERT INTO sessions VALUES (?, 'a', '/labs/a', 'ada', NULL, 'local', 'gpu', ?, '/w', ?, NULL, NULL, '{}', ?, 'f', '')"
_GPU = '[{"uuid": "GPU-1", "name": "A100", "memory_mib": 40960, "sharing": "exclusive"}]'
_SINCE = "2026-01-02T03:04:05Z"


@pytest.fixture
def old(home: Path) -> Settings:
    chosen = settings.load()
    chosen.home.mkdir()
    with closing(sqlite3.connect(chosen.home / "labctl.db")) as connection, connection:
        connection.executescript(VERSION_1)
        connection.execute(_ROW, ("a--ada", "RUNNING", _SINCE, _GPU))
        connection.execute(_ROW, ("a--bob", "STOPPED", _SINCE, _GPU))
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
