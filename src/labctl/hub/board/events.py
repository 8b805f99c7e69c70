"""What has happened in a class, as it is posted elsewhere. Pure."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from labctl.cohorts.roster import Person
from labctl.hub.board.hooks import Hook
from labctl.store.changes import Changes
from labctl.store.records import Attempt, Delivery, Session, SessionState, iso

EXPIRED = "expired"


def deliveries(
    hook: Hook,
    changes: Changes,
    sessions: Mapping[str, Session],
    people: Mapping[str, Person],
    now: datetime,
) -> Iterator[Delivery]:
    """What the hook is to be told of `changes`, and of those of `sessions`, which are all there are, by id, that live longer
    than they should. The same happening has the same subject, however often it is seen."""
    for id, attempts in changes.attempts.items():
        for attempt in attempts:
            if id in sessions:
                yield from _told(hook, "verified", sessions[id], people, now, f"{attempt.id}", _verified(attempt))
    ended = [session for session in changes.sessions if session.why_ended == EXPIRED]
    for session in (*ended, *(each for each in sessions.values() if each.expired(now))):
        at = iso(session.expires_at) if session.expires_at else ""
        yield from _told(hook, EXPIRED, session, people, now, f"{session.id}:{at}", {"expires_at": at})
    for session in changes.sessions:
        if session.state is SessionState.FAILED:
            mark = f"{session.id}:{iso(session.created_at)}:{zlib.crc32(session.detail.encode()):08x}"
            yield from _told(hook, "failed", session, people, now, mark, {"reason": session.detail})


def _told(
    hook: Hook,
    event: str,
    session: Session,
    people: Mapping[str, Person],
    now: datetime,
    mark: str,
    values: Mapping[str, Any],
) -> Iterable[Delivery]:
    """Nothing where the hook does not want to hear of it, or the session is nobody's yet."""
    person = people.get(session.person)
    if event not in hook.events or person is None:
        return ()
    body = {
        "schema": 1,
        "event": event,
        "at": iso(now),
        "cohort": session.cohort,
        "learner": {"id": person.id, "name": person.name, "email": person.email, "number": person.number},
        "lab": session.lab,
        "session": session.id,
        **values,
    }
    return (
        Delivery(
            hook=hook.url,
            event=event,
            subject=f"{event}:{mark}",
            cohort=session.cohort or "",
            at=now,
            body=json.dumps(body, ensure_ascii=False),
            next_at=now,
        ),
    )


def _verified(attempt: Attempt) -> dict[str, Any]:
    values = {"id": attempt.id, "at": iso(attempt.at), "outcome": attempt.outcome}
    return {"attempt": {**values, "score": attempt.score, "max_score": attempt.max_score, "passed": attempt.passed}}
