"""What the portal does for a learner: looks up who they are and which lab they mean, and starts, looks at or ends their session.

It knows nothing of JupyterHub. Every method may take seconds and is to be called in a thread; any number of threads may.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.cohorts import classroom, roster, spec
from labctl.cohorts.roster import Person
from labctl.cohorts.seat import Seat
from labctl.cohorts.seat import seats as seats_of
from labctl.errors import EngineError, NotFoundError
from labctl.hub import notices, quotas
from labctl.hub.names import lab_of
from labctl.sessions.context import Context
from labctl.sessions.end import down
from labctl.sessions.view import idle_warning

if TYPE_CHECKING:
    from labctl.cohorts.spec import CohortFile
    from labctl.notebook import Notebook
    from labctl.progress import Progress
    from labctl.sessions.view import SessionView

NOTEBOOK = "workspace"
"""How runtimes call the service that is JupyterLab."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A session whose JupyterLab listens at `url`, to which the Hub's proxy leads."""

    session: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Whether a session and its JupyterLab run, and what its learner should know; empty when there is nothing."""

    running: bool
    notice: str = ""


class Desk:
    """The sessions of the cohort whose file is at `file`, which is read anew each time: a changed window counts at once."""

    def __init__(self, ctx: Context, file: Path) -> None:
        self._ctx = ctx
        self._file = file
        self._lock = threading.Lock()
        self._starting: set[str] = set()

    def open(self, user: str, server: str, notebook: Notebook, progress: Progress) -> Opened:
        """Start the user's session of the lab that the server stands for, or take over the one that there is.

        Raises LabctlError in words for the learner: not on the list, outside of the window, over a quota, no room, unhealthy.
        """
        found = self._load()
        person = self.person(found, user)
        lab = lab_of(server, found.spec.labs)
        if lab is None:
            raise NotFoundError(f"{found.spec.name} has no lab {server!r}", f"it has: {', '.join(found.spec.labs)}")
        with self._admitted(found, self._seat(found, person, lab)) as seat:
            view = classroom.open_seat(self._ctx, found.spec, seat, notebook, progress)
        return Opened(session=view.session.id, url=_url(view))

    def look(self, session: str) -> Look:
        """The session as it is now."""
        record = self._ctx.store.session(session)
        if record is None or not record.live or not record.handle or record.expired(self._ctx.now()):
            return Look(running=False)
        states = self._ctx.runtime(record.runtime).state(record.handle, probe=False)
        running = any(each.name == NOTEBOOK and each.state.value in ("running", "starting") for each in states)
        told = (notices.notice(record, self._ctx.now()), idle_warning(self._ctx, record))
        return Look(running=running, notice=" ".join(filter(None, told)))

    def close(self, session: str) -> None:
        """End the session; the learner's files stay. Nothing happens when it has ended."""
        record = self._ctx.store.session(session)
        if record is not None and record.live:
            down(self._ctx, record, lambda _step: None)

    def person(self, found: CohortFile, user: str) -> Person:
        """Who on the list logs in as `user`: by labctl's id, the list's ID or an email address, never by a name alone.

        Raises NotFoundError.
        """
        wanted = user.casefold()
        people = roster.read(found.roster).people
        for keys in ([each.id for each in people], [each.email for each in people], [each.number for each in people]):
            matching = [person for person, key in zip(people, keys, strict=True) if key and key.casefold() == wanted]
            if len(matching) == 1:
                return matching[0]
        raise NotFoundError(f"{user} is not on the list of {found.spec.name}", "ask your instructor to add you")

    def _load(self) -> CohortFile:
        return spec.load(self._file, self._ctx.settings.labs)

    def _seat(self, found: CohortFile, person: Person, lab: str) -> Seat:
        return next(seat for seat in seats_of(found.spec, [person], self._ctx.store.sessions()) if seat.lab == lab)

    @contextmanager
    def _admitted(self, found: CohortFile, seat: Seat) -> Iterator[Seat]:
        """The seat while its session is being started; those that are under way count as there."""
        with self._lock:
            quotas.check(self._ctx, found.spec, seat, frozenset(self._starting))
            self._starting.add(seat.session)
        try:
            yield seat
        finally:
            with self._lock:
                self._starting.discard(seat.session)


def _url(view: SessionView) -> str:
    url = next((each.url for each in view.services if each.name == NOTEBOOK and each.url), None)
    if url is None:
        raise EngineError(f"{view.session.id} runs, but without JupyterLab", "tell your instructor")
    return url
