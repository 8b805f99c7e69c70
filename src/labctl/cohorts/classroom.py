"""A class's sessions together: started, verified, ended at the same time. One learner's trouble is nobody else's."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count, islice
from typing import TYPE_CHECKING

from labctl.cohorts import grades
from labctl.cohorts.roster import Person
from labctl.cohorts.seat import Seat
from labctl.cohorts.seat import seats as seats_of
from labctl.cohorts.spec import Cohort
from labctl.errors import LabctlError, PreflightError
from labctl.sessions import workspace as workspaces
from labctl.sessions.context import Context
from labctl.sessions.end import down, ends_at, extend
from labctl.sessions.up import UpRequest, up
from labctl.store.records import Session, iso

if TYPE_CHECKING:
    from labctl.notebook import Notebook
    from labctl.progress import Progress
    from labctl.sessions.view import SessionView

STARTED_AT_ONCE = 8
SPARE = "spare-"
"""How the learners are called for whom reserved sessions are started."""
ENDED_AT_ONCE = 16
ON_CLUSTER_AT_ONCE = 16
"""Judges on a cluster, when nobody says how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of one seat: `words` when it went well, else `problem` with `hint`; `took_s` in seconds."""

    seat: Seat
    words: str = ""
    problem: str = ""
    hint: str = ""
    took_s: float = 0.0


OnDone = Callable[[Done], None]


def due(cohort: Cohort, seats: Sequence[Seat], ctx: Context) -> list[Seat]:
    """The seats that are to have a session now: of each learner the labs not passed yet, as many as may be open at once, and
    of all no more than the file's `initial` and `maximum`; those that have one keep it."""
    attempts = ctx.store.attempts()
    live = {session.id for session in ctx.store.sessions(live=True)}
    wanted = sorted(grades.unfinished(cohort, seats, attempts), key=lambda seat: seat.session not in live)
    limits = [number for number in (cohort.sessions.initial, cohort.sessions.maximum) if number is not None]
    return wanted[: max(min(limits), sum(seat.session in live for seat in wanted))] if limits else wanted


def start(
    ctx: Context,
    cohort: Cohort,
    seats: Sequence[Seat],
    profiles: Mapping[str, str],
    progress: Progress,
    on_done: OnDone,
    *,
    at_once: int = STARTED_AT_ONCE,
) -> list[Done]:
    """Bring every seat's session to its plan: those that run are left as they are, so that doing it again does only what
    failed or is missing. `profiles` gives each lab's profile. `progress` hears each step under its learner's id: "ada: service vllm".

    The first session of each lab is started before the others: what it has made, pulled and built is there for them.
    """
    check_window(ctx, cohort)
    began = time.monotonic()
    first = list({seat.lab: seat for seat in reversed(seats)}.values())
    rest = [seat for seat in seats if seat not in first]

    def one(seat: Seat, position: int) -> str:
        claimed = claim(ctx, cohort, seat)
        if claimed is not None:
            return f"took {claimed.id}, which was ready"
        time.sleep(max(0.0, began + cohort.stagger.delay_s(position) - time.monotonic()))
        return _words(up(ctx, _request(ctx, cohort, seat, profiles.get(seat.lab)), _named(seat, progress)))

    done = each(first, lambda seat: one(seat, 0), on_done, at_once=at_once)
    places = {seat.session: number for number, seat in enumerate(rest, start=len(first))}
    return [*done, *each(rest, lambda seat: one(seat, places[seat.session]), on_done, at_once=at_once)]


def claim(ctx: Context, cohort: Cohort, seat: Seat) -> Session | None:
    """A reserved session for somebody who has none, at once; None where there is none, or it is not needed."""
    before = ctx.store.session(seat.session)
    if not cohort.sessions.reserved or (before and before.live) or seat.person.id.startswith(SPARE):
        return None
    session = ctx.store.claim(cohort.name, seat.lab, SPARE, seat.person.id)
    return session and ends_at(ctx, session, ctx.now() + timedelta(seconds=_ttl_s(ctx, cohort)))


def open_seat(ctx: Context, cohort: Cohort, seat: Seat, notebook: Notebook, progress: Progress) -> SessionView:
    """One learner's session with JupyterLab for a portal: the one that there is, a reserved one, or a new one.

    Raises what `up` raises.
    """
    claimed = claim(ctx, cohort, seat)
    seat = replace(seat, session=claimed.id) if claimed else seat
    before = ctx.store.session(seat.session)
    profile = before.profile if before and before.live else cohort.profile
    return up(ctx, replace(_request(ctx, cohort, seat, profile), notebook=notebook), progress)


def has_spare(ctx: Context, cohort: Cohort, lab: str) -> bool:
    """Whether a reserved session of the lab waits for somebody."""
    free = [each for each in of_cohort(ctx, cohort) if each.learner.startswith(SPARE) and not each.claimed_by]
    return any(session.lab == lab for session in free)


def spares(ctx: Context, cohort: Cohort) -> list[Seat]:
    """Seats for nobody yet, of the first lab: so many that the file's `reserved` sessions are free, never above `maximum`."""
    live = of_cohort(ctx, cohort)
    # A name that somebody has claimed leads to their files, also when the session has ended.
    names = {
        session.learner
        for session in ctx.store.sessions()
        if session.cohort == cohort.name and (session.live or session.claimed_by)
    }
    free = sum(session.learner.startswith(SPARE) and not session.claimed_by for session in live)
    room = cohort.sessions.maximum - len(live) if cohort.sessions.maximum is not None else cohort.sessions.reserved
    missing = max(0, min(cohort.sessions.reserved - free, room))
    new = (name for number in count(1) if (name := f"{SPARE}{number}") not in names)
    people = [Person(id=name, name=name) for name in islice(new, missing)]
    return [seat for seat in seats_of(cohort, people) if seat.lab == cohort.labs[0]]


def verify(
    ctx: Context, seats: Sequence[Seat], on_done: OnDone, *, again: bool = False, at_once: int | None = None
) -> list[Done]:
    """Verify every seat that has a running session; what has passed once only with `again`. Every report is kept."""
    from labctl.sessions.verify import verify as look

    attempts = ctx.store.attempts()
    sessions = {session.id: session for session in ctx.store.sessions(live=True)}
    chosen = [seat for seat in seats if seat.session in sessions]
    if not again:
        chosen = [seat for seat in chosen if not any(one.passed for one in attempts.get(seat.session, ()))]

    def one(seat: Seat) -> str:
        report = look(ctx, sessions[seat.session])
        return f"{report.score} of {report.max_score} points"

    return each(chosen, one, on_done, at_once=at_once or judged_at_once(ctx, sessions.values()))


def judged_at_once(ctx: Context, sessions: Iterable[Session]) -> int:
    """How many sessions are judged at the same time when nobody says: one a core, since a check computes or waits, and more where
    a cluster does the work and this machine only listens.
    """
    scheduled = any(ctx.runtime(name).schedules for name in {session.runtime for session in sessions})
    return ON_CLUSTER_AT_ONCE if scheduled else max(2, os.cpu_count() or 1)


def end(
    ctx: Context,
    sessions: Sequence[Session],
    seats: Sequence[Seat],
    progress: Progress,
    on_done: OnDone,
    *,
    purge: bool = False,
) -> list[Done]:
    """End the cohort's `sessions`; files stay, unless `purge`. Also of people who are not on the list any more."""
    by_id = {session.id: session for session in sessions}
    chosen = [seat for seat in seats if seat.session in by_id]

    def one(seat: Seat) -> str:
        where = workspaces.of(ctx, by_id[seat.session]).where
        down(ctx, by_id[seat.session], _named(seat, progress), purge=purge)
        return f"deleted {where}" if purge else where

    return each(chosen, one, on_done, at_once=ENDED_AT_ONCE)


def prolong(
    ctx: Context, sessions: Sequence[Session], seats: Sequence[Seat], more_s: float, on_done: OnDone
) -> list[Done]:
    """Give every one of `sessions` so many seconds more."""
    by_id = {session.id: session for session in sessions}

    def one(seat: Seat) -> str:
        later = extend(ctx, by_id[seat.session], more_s)
        return f"until {iso(later.expires_at)}" if later.expires_at else "for ever"

    return each(seats, one, on_done, at_once=ENDED_AT_ONCE)


def each(seats: Sequence[Seat], work: Callable[[Seat], str], on_done: OnDone, *, at_once: int) -> list[Done]:
    """What came of `work` on every seat, in the order in which they were done; `on_done` hears of each, in this thread.

    An error is that seat's alone. Ctrl-C starts no more and waits for those that are under way.
    """
    stopping = threading.Event()
    done: list[Done] = []
    pool = ThreadPoolExecutor(max_workers=max(1, min(at_once, len(seats))))
    try:
        under_way: set[Future[Done | None]] = {pool.submit(_one, seat, work, stopping) for seat in seats}
        while under_way:
            ready, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            for result in (future.result() for future in ready):
                if result is not None:
                    done.append(result)
                    on_done(result)
    finally:
        stopping.set()
        pool.shutdown(wait=True, cancel_futures=True)
    return done


def check_window(ctx: Context, cohort: Cohort) -> None:
    """Raises PreflightError before the window opens and after it has closed, late days counted."""
    window, now = cohort.window, ctx.now()
    if window.opens and now < window.opens:
        raise PreflightError(
            f"{cohort.name} opens on {window.opens.isoformat()}", "start it then, or change `window.opens`"
        )
    if window.closes and now > window.closes and (now - window.closes).days >= cohort.late.days:
        raise PreflightError(
            f"{cohort.name} closed on {window.closes.isoformat()}", "change `window.closes` or `late.days`"
        )


def of_cohort(ctx: Context, cohort: Cohort, *, ended: bool = False) -> list[Session]:
    """Every live session of the cohort, those of people who have left the list too; with `ended`, also what was live before."""
    return [session for session in ctx.store.sessions(live=not ended) if session.cohort == cohort.name]


def _one(seat: Seat, work: Callable[[Seat], str], stopping: threading.Event) -> Done | None:
    if stopping.is_set():
        return None
    began = time.monotonic()
    try:
        return Done(seat=seat, words=work(seat), took_s=time.monotonic() - began)
    except LabctlError as error:
        problem, hint = error.what, error.hint
    except Exception as error:  # noqa: BLE001 a bug that one session meets must not end the class
        problem, hint = f"{type(error).__name__}: {error}", "please report it"
    return Done(seat=seat, problem=problem, hint=hint, took_s=time.monotonic() - began)


def _named(seat: Seat, progress: Progress) -> Progress:
    return lambda step: progress(replace(step, name=f"{seat.person.id}: {step.name}"))


def _request(ctx: Context, cohort: Cohort, seat: Seat, profile: str | None) -> UpRequest:
    """What `up` is asked for. Times are given to a session that begins: one that runs keeps those that it has."""
    before = ctx.store.session(seat.session)
    begins = before is None or not before.live or before.expired(ctx.now())
    return UpRequest(
        lab=seat.lab,
        learner=before.learner if before else seat.person.id,  # who sits in a claimed one has another name
        cohort=cohort.name,
        runtime=cohort.runtime,
        profile=profile,
        ttl_s=_ttl_s(ctx, cohort) if begins else None,
        idle_timeout_s=(math.inf if cohort.idle is None else cohort.idle) if begins else None,
        gpu_need=cohort.gpu.need,
    )


def _ttl_s(ctx: Context, cohort: Cohort) -> float:
    """No session outlives the time in which work counts."""
    closes = cohort.window.closes
    left_s = (closes - ctx.now()).total_seconds() + cohort.late.days * 86400 if closes else math.inf
    return max(60.0, min(cohort.ttl, left_s))


def _words(seen: SessionView) -> str:
    urls = [service.url for service in seen.services if service.url]
    return " ".join(["started" if seen.changed else "runs already", *urls[:1]])
