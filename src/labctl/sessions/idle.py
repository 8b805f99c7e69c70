"""When a session's GPUs go back for want of use. Pure: what was seen is in the rows of its allocation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from labctl.store.records import Held, Session
from labctl.units import format_duration

MAX_GRACE_S = 300.0
FRESH_S = 300.0
"""What was seen longer ago says nothing about now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Idleness:
    """A session does not use its GPUs since `since`, as was seen at `seen_at` (None: nobody has looked yet).

    `warned_at` is when that was announced, None before. After `timeout_s` without use they go back, and not before the
    warning has stood for `grace_s`, however late somebody first looked.
    """

    since: datetime
    seen_at: datetime | None
    warned_at: datetime | None
    timeout_s: float

    @property
    def grace_s(self) -> float:
        return min(MAX_GRACE_S, self.timeout_s / 5)

    @property
    def goes_back_at(self) -> datetime | None:
        """None as long as nobody has been warned."""
        if self.warned_at is None:
            return None
        return max(self.since + timedelta(seconds=self.timeout_s), self.warned_at + timedelta(seconds=self.grace_s))

    def should_warn(self, now: datetime) -> bool:
        return self.warned_at is None and self._is_seen(now) and self.lasts_s(now) >= self.timeout_s - self.grace_s

    def is_over(self, now: datetime) -> bool:
        """Whether the GPUs go back now."""
        return self.goes_back_at is not None and self._is_seen(now) and now >= self.goes_back_at

    def lasts_s(self, now: datetime) -> float:
        return max(0.0, (now - self.since).total_seconds())

    def warning(self, now: datetime) -> str:
        """In words for the learner; empty as long as nobody has been warned."""
        if self.goes_back_at is None:
            return ""
        return (
            f"idle for {format_duration(self.lasts_s(now))} (no command, no request, no load on its GPU): its GPU goes back "
            f"at {self.goes_back_at:%H:%M} UTC; any command, request or load keeps it"
        )

    def _is_seen(self, now: datetime) -> bool:
        return is_fresh(self.seen_at, now)


def is_fresh(seen_at: datetime | None, now: datetime) -> bool:
    """Whether a look says something about now."""
    return seen_at is not None and abs((now - seen_at).total_seconds()) <= FRESH_S


def idleness(session: Session, rows: Sequence[Held]) -> Idleness | None:
    """Of a session and what it holds itself; None when it never idles, or holds nothing."""
    if session.idle_timeout_s is None or not rows:
        return None
    seen = [row.seen_at for row in rows]
    warned = [row.warned_at for row in rows]
    return Idleness(
        since=max(row.active_at or row.since for row in rows),
        seen_at=None if None in seen else min(time for time in seen if time),
        warned_at=None if None in warned else max(time for time in warned if time),
        timeout_s=session.idle_timeout_s,
    )
