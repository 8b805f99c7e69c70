"""What can be done from the board: who may, once for each key, written into the log before and after."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from labctl.cohorts.seat import Seat
from labctl.errors import LabctlError, PreflightError, UsageError
from labctl.hub.board.access import check_instructor, check_may_see
from labctl.hub.board.deeds import DEEDS, Deed
from labctl.hub.board.guard import Pace
from labctl.hub.board.line import Line
from labctl.hub.board.room import Room
from labctl.hub.board.viewer import Viewer
from labctl.store.lock import held_alone
from labctl.store.records import Entry

MAX_KEY_CHARS = 100
OWN_ASKS = (6, 60.0)
"""So many verifications a learner may ask for at once, and again in so many seconds."""
STARTED_AT_ONCE = 4
SOON_S = 3.0
log = logging.getLogger("labctl.board")


class TooOften(LabctlError):
    """Somebody asks more often than the others leave room for; `wait_s` is how long to wait."""

    def __init__(self, wait_s: float) -> None:
        super().__init__("that was too often", f"ask again in {max(1, round(wait_s))} s")
        self.wait_s = wait_s


class Actions:
    """The actions of one class. Safe to use from several threads."""

    def __init__(self, room: Room, *, verifying: int | None = None) -> None:
        workers = {
            "verify": verifying or max(2, os.cpu_count() or 1),
            "sessions": STARTED_AT_ONCE,
            "time": STARTED_AT_ONCE,
        }
        self._room = room
        self._lines = {name: Line(name, number, self._do) for name, number in workers.items()}
        self._pace = Pace(*OWN_ASKS)
        self._changed = threading.Condition()
        self._alone: int | None = None
        self._open: dict[int, tuple[str, str]] = {}
        """What is waiting or being done: action and session, by the id of the log's entry."""

    def ask(
        self,
        viewer: Viewer,
        action: str,
        learner: str,
        lab: str = "",
        values: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> Entry:
        """The entry of the log: with an outcome when it is done, with none yet when it takes long.

        Asked again with the same `key`, it is what it was; asked while the same is being done to the same session, it is
        that, unless it is more time. No `learner` with `message` is everybody. Raises Forbidden, NotFoundError, PreflightError, UsageError, TooOften.
        """
        deed = _deed(action)
        self._check_may(viewer, deed, learner)
        seat = self._seat(deed, learner, lab)
        wanted = self._entry(viewer, action, learner, seat, key)
        again = self._again(wanted, values or {})
        if again is not None:
            return again
        if not viewer.instructor and (wait_s := self._pace.wait_s(viewer.name)):
            raise TooOften(wait_s)
        return self._begin(deed, wanted, seat, values or {})

    def entry(self, id: int) -> Entry | None:
        """An entry of this class's log."""
        found = self._room.ctx.store.journal.entry(id)
        return found if found and found.cohort == self._room.cohort.name else None

    def wait(self, id: int, timeout_s: float) -> Entry | None:
        """The entry once it has an outcome, or as it is after `timeout_s`."""
        until = time.monotonic() + timeout_s
        with self._changed:
            while id in self._open and (left_s := until - time.monotonic()) > 0:
                self._changed.wait(left_s)
        return self.entry(id)

    def resume(self) -> int:
        """Do what a board that died has left undone; how many that were. Nothing while another board of the class lives
        here: it is doing them."""
        home, name = self._room.ctx.settings.home, self._room.cohort.name
        self._alone = held_alone(home, f"board--{name}")
        if self._alone is None:
            return 0
        left = self._room.ctx.store.journal.unfinished(name)
        for entry in left:
            if entry.action in DEEDS:
                self._queue(DEEDS[entry.action], entry)
        return len(left)

    def close(self, timeout_s: float = 5.0) -> None:
        """Begin nothing more. What is not done in time, the next board does."""
        until = time.monotonic() + timeout_s
        for line in self._lines.values():
            line.stop()
        for line in self._lines.values():
            line.close(max(0.0, until - time.monotonic()))
        if self._alone is not None:
            os.close(self._alone)
            self._alone = None

    def _now(self) -> datetime:
        """As the log keeps it."""
        return self._room.ctx.now().replace(microsecond=0)

    def _check_may(self, viewer: Viewer, deed: Deed, learner: str) -> None:
        if deed.own:
            check_may_see(viewer, learner)
        else:
            check_instructor(viewer)

    def _seat(self, deed: Deed, learner: str, lab: str) -> Seat | None:
        """Whose place it is about; None where it is about no lab."""
        if deed.needs_lab:
            return self._room.seat(learner, lab)
        if learner:
            self._room.person(learner)
        return None

    def _entry(self, viewer: Viewer, action: str, learner: str, seat: Seat | None, key: str | None) -> Entry:
        if key is not None and not (0 < len(key) <= MAX_KEY_CHARS and key.isprintable()):
            raise UsageError(
                f"the key has {len(key)} characters",
                f"1 to {MAX_KEY_CHARS} that can be printed, new ones for each action",
            )
        return Entry(
            at=self._now(),
            actor=viewer.name,
            role="instructor" if viewer.instructor else "learner",
            action=action,
            cohort=self._room.cohort.name,
            learner=learner,
            lab=seat.lab if seat else "",
            session=seat.session if seat else "",
            key=key,
        )

    def _again(self, wanted: Entry, values: Mapping[str, Any]) -> Entry | None:
        """What was asked before with this key. Raises PreflightError when that was something else."""
        found = self._room.ctx.store.journal.keyed(wanted)
        if found is None:
            return None
        same = (found.action, found.learner, found.lab) == (wanted.action, wanted.learner, wanted.lab)
        if not same or any(found.request.get(name) not in (None, _plain(value)) for name, value in values.items()):
            raise PreflightError(
                f"the key {wanted.key!r} was used for something else ({found.action})", "take a new key for each action"
            )
        return found

    def _begin(self, deed: Deed, wanted: Entry, seat: Seat | None, values: Mapping[str, Any]) -> Entry:
        """One at a time: what is written down of an action may follow from those before it."""
        with self._changed:
            same = [id for id, what in self._open.items() if what == (wanted.action, wanted.session)]
            if wanted.key is None and not deed.soon and same and (running := self.entry(same[0])) is not None:
                return running
            request = deed.check(self._room, seat, values)
            entry, new = self._room.ctx.store.journal.begin(replace(wanted, request=request))
            if new and deed.line:
                self._queue(deed, entry)
        if new and not deed.line:
            return self._do(entry)
        return (self.wait(entry.id, SOON_S) if deed.soon else None) or entry

    def _queue(self, deed: Deed, entry: Entry) -> None:
        """Whoever asks for many has them done one at a time, between those of others."""
        with self._changed:
            self._open[entry.id] = (entry.action, entry.session)
        self._lines[deed.line or "sessions"].put(entry.actor, entry)

    def _do(self, entry: Entry) -> Entry:
        """The entry with what came of it, written down."""
        try:
            done = replace(entry, outcome="done", words=DEEDS[entry.action].run(self._room, entry))
        except LabctlError as error:
            done = replace(entry, outcome="failed", words=error.what, hint=error.hint)
        except Exception:
            log.exception("%s of %s", entry.action, entry.session or entry.learner)
            done = replace(entry, outcome="failed", words="something went wrong here", hint="it is in the board's log")
        try:
            return self._room.ctx.store.journal.end(replace(done, ended_at=self._now()))
        finally:
            with self._changed:
                self._open.pop(entry.id, None)
                self._changed.notify_all()


def _deed(action: str) -> Deed:
    if action not in DEEDS:
        raise UsageError(f"{action!r} is no action", f"there are: {', '.join(DEEDS)}")
    return DEEDS[action]


def _plain(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value
