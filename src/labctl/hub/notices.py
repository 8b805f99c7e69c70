"""What a learner is told before it happens: that their session ends. Pure."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from labctl.store.records import Session

WARNED = timedelta(minutes=30)


def notice(session: Session, now: datetime) -> str:
    """In a sentence, when the session ends within half an hour; else empty."""
    if session.expires_at is None or not now < session.expires_at <= now + WARNED:
        return ""
    minutes = math.ceil((session.expires_at - now).total_seconds() / 60)
    left = "in a minute" if minutes == 1 else f"in {minutes} minutes"
    return f"{session.lab} ends {left}, at {session.expires_at:%H:%M} UTC. Your files stay; your instructor can give you more time."
