"""What has changed in a class since somebody looked last: readers that look often read only that."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from labctl.store.records import Attempt, Entry, Message, Session, moment

VERSION = "SELECT value FROM meta WHERE key = 'changed'"
SESSIONS = "SELECT * FROM sessions WHERE cohort = :cohort AND version > :since ORDER BY version"
REPORTS = (
    "SELECT reports.id, session, score, max_score, outcome, COALESCE(as_of, started_at) AS at FROM reports"
    " JOIN sessions ON sessions.id = reports.session WHERE cohort = :cohort AND reports.version > :since ORDER BY reports.id"
)
BODIES = (
    "SELECT session, body FROM reports WHERE id IN (SELECT MAX(reports.id) FROM reports"
    " JOIN sessions ON sessions.id = reports.session WHERE cohort = :cohort AND reports.version > :since GROUP BY session)"
)
ENTRIES = "SELECT * FROM audit WHERE cohort = :cohort AND version > :since ORDER BY id DESC LIMIT 500"
MESSAGES = "SELECT * FROM messages WHERE cohort = :cohort AND version > :since ORDER BY id DESC LIMIT 500"


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Rows of one cohort that came or changed after a version, up to `version`: ask with that the next time. A row that
    changes meanwhile may be told twice, never left out.

    `attempts` are by session, oldest first; `reports` has the newest report of each of those sessions, as JSON values.
    Of the log and of messages no more than the newest 500 are told, newest first.
    """

    version: int
    sessions: tuple[Session, ...] = ()
    attempts: Mapping[str, tuple[Attempt, ...]] = field(default_factory=dict)
    reports: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    entries: tuple[Entry, ...] = ()
    messages: tuple[Message, ...] = ()


def attempts_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Attempt, ...]]:
    """Attempts by session, in the order of `rows`."""
    found: dict[str, list[Attempt]] = {}
    for row in rows:
        values = {**row, "at": moment(row["at"])}
        session = values.pop("session")
        found.setdefault(session, []).append(Attempt(**values))
    return {session: tuple(attempts) for session, attempts in found.items()}


def bodies_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Whole reports by session."""
    return {row["session"]: json.loads(row["body"]) for row in rows}
