"""What a class is doing, as it changes: one look at the store serves everybody who watches."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from labctl.cohorts.seat import Seat
from labctl.hub.board import reading
from labctl.hub.board.figures import GpuUse, gpu_use
from labctl.hub.board.reading import Matrix, Row, Seen
from labctl.hub.board.room import Room
from labctl.outcomes import Outcome
from labctl.store.changes import Changes
from labctl.store.records import Attempt, Session

LOOKS_EVERY_S = 1.0
QUIET_LOOKS = 15
FRESH_S = 5.0
"""So late may it be seen that time has passed or the list of people has changed; what the store has is seen at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """All labs' matrices at one moment. `version` grows with every change; `changed_at` has the version of each row's
    last change, by lab and learner. `told_at` is the version of the last message to each learner, or line of the log about them."""

    version: int = 0
    matrices: dict[str, Matrix] = field(default_factory=dict)
    changed_at: dict[tuple[str, str], int] = field(default_factory=dict)
    told_at: dict[str, int] = field(default_factory=dict)

    def changed_since(self, lab: str, version: int) -> list[Row]:
        """The rows of `lab` that have changed after `version`."""
        return [row for row in self.matrices[lab].rows if self.changed_at[lab, row.person.id] > version]

    def of(self, learner: str) -> list[Row]:
        """The learner's rows, in the order of labs."""
        return [row for matrix in self.matrices.values() for row in matrix.rows if row.person.id == learner]

    def version_of(self, learner: str) -> int:
        """The version of the last change that this learner can see."""
        own = [version for (_, who), version in self.changed_at.items() if who == learner]
        return max([*own, self.told_at.get(learner, 0)], default=0)


@dataclass(kw_only=True)
class Watch:
    """Looks when somebody asks, at most once at a time for all of them, and reads only what has changed since."""

    room: Room
    gpu: GpuUse = field(default_factory=GpuUse)
    """What the class's GPUs come to, as of the last look."""
    _closing: bool = False
    _look: Look = field(default_factory=Look)
    _since: int = 0
    _stale_at: float = 0.0
    _sessions: dict[str, Session] = field(default_factory=dict)
    _attempts: dict[str, tuple[Attempt, ...]] = field(default_factory=dict)
    _outcomes: dict[str, dict[str, Outcome]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _task: asyncio.Task[Look] | None = None

    def look(self) -> Look:
        """What is now; the same object as before where nothing has changed."""
        with self._lock:
            changes = self.room.ctx.store.changes(self.room.cohort.name, self._since)
            if changes.version == self._since and time.monotonic() < self._stale_at:
                return self._look
            self._stale_at = time.monotonic() + FRESH_S
            self.gpu = gpu_use(self.room)
            self._keep(changes)
            matrices = self._matrices()
            told = {each.learner for each in changes.messages} | {each.learner for each in changes.entries}
            self._look = merged(self._look, matrices, told)
            return self._look

    async def now(self) -> Look:
        """`look`, off the event loop; those who ask meanwhile get the same answer."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(asyncio.to_thread(self.look))
        return await asyncio.shield(self._task)

    async def changes(self, since: int) -> AsyncIterator[Look | None]:
        """A look whenever there is something newer than `since`; None now and then without news. It ends with the board."""
        quiet = 0
        while not self._closing:
            look = await self.now()
            if look.version > since:
                since, quiet = look.version, 0
                yield look
            elif (quiet := quiet + 1) >= QUIET_LOOKS:
                quiet = 0
                yield None
            await asyncio.sleep(LOOKS_EVERY_S)

    def close(self) -> None:
        """Whoever watches is told no more, from a second later on. May be called by a handler of signals."""
        self._closing = True

    def _keep(self, changes: Changes) -> None:
        self._since = changes.version
        self._sessions.update({session.id: session for session in changes.sessions})
        for session, attempts in changes.attempts.items():
            known = {each.id: each for each in (*self._attempts.get(session, ()), *attempts)}
            self._attempts[session] = tuple(known[id] for id in sorted(known))
        for session, report in changes.reports.items():
            self._outcomes[session] = reading.outcomes_of(report)

    def _matrices(self) -> dict[str, Matrix]:
        seats: dict[str, list[Seat]] = {lab: [] for lab in self.room.cohort.labs}
        for seat in self.room.seats(tuple(self._sessions.values())):
            seats[seat.lab].append(seat)
        return {lab: self._matrix(lab, its) for lab, its in seats.items()}

    def _matrix(self, lab: str, seats: Sequence[Seat]) -> Matrix:
        loaded = self.room.lab(lab)
        seen = [self._seen(seat) for seat in seats]
        columns = reading.columns_of(loaded)
        return reading.matrix(self.room.cohort, lab, loaded.spec.title, columns, seen, self.room.ctx.now())

    def _seen(self, seat: Seat) -> Seen:
        session = self._sessions.get(seat.session)
        return Seen(
            seat=seat,
            session=session,
            attempts=self._attempts.get(seat.session, ()),
            outcomes=self._outcomes.get(seat.session, {}),
            gpus=", ".join(str(gpu.get("name") or gpu.get("uuid")) for gpu in session.gpus) if session else "",
        )


def merged(before: Look, matrices: dict[str, Matrix], told: set[str]) -> Look:
    """The look after `before`; `before` itself where nothing has changed. Pure."""
    if matrices == before.matrices and not told:
        return before
    version = before.version + 1
    changed = {
        (lab, row.person.id): version
        for lab, matrix in matrices.items()
        for row in reading.changed(before.matrices.get(lab), matrix)
    }
    return Look(
        version=version,
        matrices=matrices,
        changed_at={**before.changed_at, **changed},
        told_at={**before.told_at, **dict.fromkeys(told, version)},
    )
