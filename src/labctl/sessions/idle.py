"""When a session's GPUs go back for want of use. Pure: what was seen is in the rows of its allocation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from labctl.store.records import Held, Session
from labctl.units import format_duration

MAX_GRACE_S = 300.0
WANTED_PART, WANTED_MIN_S = 12, 300.0
"""While somebody waits in line, a GPU goes back after a twelfth of the time-out, and not before five minutes."""
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


def timeout_s(whole_s: float, *, wanted: bool) -> float:
    """How long a GPU may be idle: `whole_s`, or less while somebody waits for one.

    >>> timeout_s(3600, wanted=False), timeout_s(3600, wanted=True), timeout_s(60, wanted=True)
    (3600, 300.0, 60)
    """
    return min(whole_s, max(WANTED_MIN_S, whole_s / WANTED_PART)) if wanted else whole_s


def idleness(session: Session, rows: Sequence[Held], *, wanted: bool) -> Idleness | None:
    """Of a session and what it holds itself; None when it never idles, or holds nothing.

    `wanted`: somebody waits in line for a GPU.
    """
    if session.idle_timeout_s is None or not rows:
        return None
    seen = [row.seen_at for row in rows]
    warned = [row.warned_at for row in rows]
    return Idleness(
        since=max(row.active_at or row.since for row in rows),
        seen_at=None if None in seen else min(time for time in seen if time),
        warned_at=None if None in warned else max(time for time in warned if time),
        timeout_s=timeout_s(session.idle_timeout_s, wanted=wanted),
    )
