"""What each action does to a learner's work. Each may be done again after whoever did it has died half way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from labctl.cohorts import classroom
from labctl.cohorts.seat import Seat
from labctl.errors import NotFoundError, PreflightError, UsageError
from labctl.hub.board.room import Room
from labctl.progress import Step
from labctl.sessions.end import down, extend_to
from labctl.store.records import Entry, Message, Session, iso, moment
from labctl.units import format_duration

Name = Literal["extend", "restart", "end", "message", "verify"]
Values = Mapping[str, Any]
MAX_TEXT_CHARS = 2000
MIN_MORE_S, MAX_MORE_S = 60.0, 7 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """`run` does it and gives the words for it; `check` gives what is kept of the values that were asked with, or raises
    UsageError. What may take long is done by workers of a `line`; whoever asks for what is done `soon` as a rule waits a
    moment for it. `own` says that learners may, of their own work."""

    run: Callable[[Room, Entry], str]
    check: Callable[[Room, Seat | None, Values], Values]
    line: str = ""
    soon: bool = False
    own: bool = False
    needs_lab: bool = True


def extend(room: Room, entry: Entry) -> str:
    """The session lives until the moment that was written down when it was asked: doing it twice gives no more."""
    session = extend_to(room.ctx, _live(room, entry), moment(entry.request["until"]))
    return f"until {iso(session.expires_at)}" if session.expires_at else "it has no end"


def end(room: Room, entry: Entry) -> str:
    """Nothing of the session runs; the files stay. Ending what is gone is no error."""
    session = room.ctx.store.session(entry.session)
    if session is None or not session.live:
        return "it had ended"
    down(room.ctx, session, _quiet)
    return "ended; the files stay"


def restart(room: Room, entry: Entry) -> str:
    """The session is ended, and started anew with the same files."""
    session = room.ctx.store.session(entry.session)
    if session is not None and session.live:
        down(room.ctx, session, _quiet)
    profiles = {entry.lab: session.profile} if session else {}
    (done,) = classroom.start(
        room.ctx, room.cohort, [room.seat(entry.learner, entry.lab)], profiles, _quiet, lambda _done: None
    )
    if done.problem:
        raise PreflightError(done.problem, done.hint)
    return "started anew; the files are as they were"


def verify(room: Room, entry: Entry) -> str:
    """The session has one report more."""
    from labctl.sessions.verify import verify as look

    report = look(room.ctx, _live(room, entry))
    return f"{report.score} of {report.max_score} points"


def message(room: Room, entry: Entry) -> str:
    """The learner, or everybody where none is named, has the message once."""
    to = [entry.learner] if entry.learner else [person.id for person in room.people()]
    journal, text = room.ctx.store.journal, str(entry.request["text"])
    made = [
        Message(at=entry.at, cohort=entry.cohort, learner=each, sender=entry.actor, text=text, entry=entry.id)
        for each in to
    ]
    journal.send(made)
    return "sent" if entry.learner else f"sent to {len(to)}"


def _extended(room: Room, seat: Seat | None, values: Values) -> Values:
    """`more_s`, the seconds that were asked for, and `until`, what that makes of the session's end: of the one that it
    will have when everything that was asked for before is done."""
    more_s = values.get("more_s")
    if not isinstance(more_s, int | float) or not MIN_MORE_S <= more_s <= MAX_MORE_S:
        accepted = f"from {format_duration(MIN_MORE_S)} to {format_duration(MAX_MORE_S)}"
        raise UsageError(f"{more_s!r} is no time to give", f"give {accepted}, for example 2h")
    id = seat.session if seat else ""
    begun = _begun(room, id)  # before the session: what is done between the two is in the second
    session = room.ctx.store.session(id)
    if session is None or not session.live:
        raise _not_running(id)
    base: datetime = max([session.expires_at or room.ctx.now(), room.ctx.now(), *begun])
    return {"more_s": more_s, "until": iso(base + timedelta(seconds=more_s))}


def _begun(room: Room, session: str) -> list[datetime]:
    """Until when the session is extended by what is written down and not done yet."""
    unfinished = room.ctx.store.journal.unfinished(room.cohort.name)
    extending = [entry for entry in unfinished if (entry.action, entry.session) == ("extend", session)]
    return [moment(entry.request["until"]) for entry in extending]


def _written(_room: Room, _seat: Seat | None, values: Values) -> Values:
    """`text`, without blanks around it."""
    text = values.get("text")
    text = text.strip() if isinstance(text, str) else ""
    if not text or len(text) > MAX_TEXT_CHARS:
        raise UsageError(f"a message has 1 to {MAX_TEXT_CHARS} characters, not {len(text)}", "write one")
    return {"text": text}


def _running(room: Room, seat: Seat | None, _values: Values) -> Values:
    """Nothing; what does not run cannot be looked at."""
    session = room.ctx.store.session(seat.session) if seat else None
    if session is None or not session.live:
        raise _not_running(seat.session if seat else "")
    return {}


def _nothing(_room: Room, _seat: Seat | None, _values: Values) -> Values:
    return {}


def _live(room: Room, entry: Entry) -> Session:
    session = room.ctx.store.session(entry.session)
    if session is None or not session.live:
        raise _not_running(entry.session)
    return session


def _not_running(session: str) -> NotFoundError:
    return NotFoundError(f"{session} is not running", "start it first")


def _quiet(_step: Step) -> None:
    return


DEEDS: Mapping[str, Deed] = {
    "extend": Deed(run=extend, check=_extended, line="time", soon=True),
    "restart": Deed(run=restart, check=_nothing, line="sessions"),
    "end": Deed(run=end, check=_nothing, line="sessions"),
    "message": Deed(run=message, check=_written, needs_lab=False),
    "verify": Deed(run=verify, check=_running, line="verify", own=True),
}
"""Every action there is."""
