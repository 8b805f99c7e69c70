"""The class that a board is of: its file, its list of people as it is now, its labs."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from labctl.cohorts import roster, spec
from labctl.cohorts.roster import Person
from labctl.cohorts.seat import Seat
from labctl.cohorts.seat import seats as seats_of
from labctl.cohorts.spec import Cohort, CohortFile
from labctl.errors import NotFoundError
from labctl.labs.lab import Lab, load
from labctl.sessions.context import Context
from labctl.store.records import Session


@dataclass(kw_only=True)
class Room:
    """A cohort with the context to act in. The list of people is read again when its file has changed; the cohort file
    and the labs are those of the start."""

    ctx: Context
    file: CohortFile
    _people: tuple[Person, ...] = ()
    _read_at: tuple[int, int] | None = None
    _labs: dict[str, Lab] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def cohort(self) -> Cohort:
        return self.file.spec

    def people(self) -> Sequence[Person]:
        """Everybody on the list, in its order. Raises LabFileError."""
        stamp = _stamp(self.file.roster)
        with self._lock:
            if self._read_at is None or stamp != self._read_at:
                self._people, self._read_at = tuple(roster.read(self.file.roster).people), stamp
            return self._people

    def person(self, learner: str) -> Person:
        """Whoever has this id. Raises NotFoundError."""
        for person in self.people():
            if person.id == learner:
                return person
        raise NotFoundError(f"nobody in {self.cohort.name} has the id {learner!r}", "the list of people has its ids")

    def seats(self, sessions: Sequence[Session]) -> list[Seat]:
        """Everybody's first lab, then everybody's second."""
        return seats_of(self.cohort, self.people(), sessions)

    def seat(self, learner: str, lab: str) -> Seat:
        """The learner's place in `lab`, whether there is a session or not. Raises NotFoundError."""
        person = self.person(learner)
        if lab not in self.cohort.labs:
            raise NotFoundError(f"{self.cohort.name} has no lab {lab!r}", f"it has: {', '.join(self.cohort.labs)}")
        found = seats_of(self.cohort, [person], self.ctx.store.sessions())
        return next(seat for seat in found if seat.lab == lab)

    def lab(self, lab: str) -> Lab:
        """A lab of the cohort. Raises NotFoundError, LabFileError."""
        if lab not in self.cohort.labs:
            raise NotFoundError(f"{self.cohort.name} has no lab {lab!r}", f"it has: {', '.join(self.cohort.labs)}")
        with self._lock:
            if lab not in self._labs:
                self._labs[lab] = load(lab, self.ctx.settings.labs)
            return self._labs[lab]

    def learner_of(self, user: str, emails: Sequence[str] = ()) -> str | None:
        """The id of the one person whom the Hub's user is: by id, email address or ID, never by name. None for nobody."""
        wanted = {each.casefold() for each in (user, *emails) if each}
        for what in ("id", "email", "number"):
            found = [person.id for person in self.people() if getattr(person, what).casefold() in wanted]
            if found:
                return found[0] if len(found) == 1 else None
        return None


def open_room(ctx: Context, path: Path) -> Room:
    """The room of the cohort in the file or folder at `path`. Raises LabFileError."""
    return Room(ctx=ctx, file=spec.load(path, ctx.settings.labs))


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)
