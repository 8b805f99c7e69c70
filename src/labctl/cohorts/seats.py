"""The seat planner: who of a class gets a session when, what keeps the others waiting, and what would seat them all. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labctl.cohorts.changes import Change, changes, plan_rounds
from labctl.cohorts.rounds import Host, LabNeed, Round, Size, Wave
from labctl.settings import Price
from labctl.units import format_duration

if TYPE_CHECKING:
    from labctl.cohorts.spec import Cohort

__all__ = ["Change", "Host", "LabNeed", "Round", "SeatPlan", "Size", "Wave", "plan_seats"]

_NUMBERS = ("no", *["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"])


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatPlan:
    """A class on a host: one round a lab, everybody in the same lab at about the same time.

    `changes` are those that would seat all at once, each enough by itself; empty when all are, or when there is none.
    `cost` is what the GPU hours cost, None without a price.
    """

    learners: int
    rounds: tuple[Round, ...]
    changes: tuple[Change, ...]
    notes: tuple[str, ...]
    disk_mib: int
    images: tuple[str, ...]
    gpu_hours: float
    gpu_hours_most: float
    cost: float | None = None
    currency: str = ""

    @property
    def all_at_once(self) -> bool:
        """Whether nobody waits in any lab."""
        return all(each.all_at_once for each in self.rounds)

    @property
    def tightest(self) -> Round | None:
        """The lab in which fewest learners fit; None without labs."""
        return min(self.rounds, key=lambda each: (-len(each.unseated), each.seats), default=None)

    @property
    def summary(self) -> str:
        """In one sentence, as `38 of 40 fit; two wait about 25 min`."""
        worst = self.tightest
        if worst is None or self.all_at_once:
            return {1: "the one learner fits", 2: "both fit at once"}.get(
                self.learners, f"all {self.learners} fit at once"
            )
        lab = f"{worst.lab}: " if len(self.rounds) > 1 else ""
        return f"{lab}{'; '.join(_sentences(worst, self.learners))}"


def plan_seats(
    cohort: Cohort, learners: Sequence[str], labs: Sequence[LabNeed], host: Host, price: Price | None = None
) -> SeatPlan:
    """The seats of `learners` (ids, in order) in `labs` (in order) on `host`. `price` counts where the cohort names none."""
    rounds = plan_rounds(cohort, learners, labs, host)
    if cohort.cost is not None:
        price = Price(amount=cohort.cost.gpu_hour, currency=cohort.cost.currency)
    hours = sum(each.gpu_hours for each in rounds)
    return SeatPlan(
        learners=len(learners),
        rounds=rounds,
        changes=changes(cohort, learners, labs, host, rounds),
        notes=tuple(_notes(cohort, rounds)),
        disk_mib=sum(each.disk_mib for each in rounds),
        images=tuple(dict.fromkeys(image for each in rounds for image in each.size.images)),
        gpu_hours=hours,
        gpu_hours_most=sum(each.gpu_hours_most for each in rounds),
        cost=hours * price.amount if price else None,
        currency=price.currency if price else "",
    )


def _sentences(worst: Round, learners: int) -> Iterator[str]:
    waits = len(worst.waiting)
    yield f"{worst.seats or 'none'} of {learners} {'fits' if worst.seats < 2 else 'fit'}{' at once' if len(worst.waves) > 2 else ''}"
    if waits:
        who = f"{_number(waits)} {'waits' if waits == 1 else 'wait'}"
        longest = _about(worst.waves[-1].starts_s)
        yield f"{who} about {longest}" if len(worst.waves) == 2 else f"{who}, the last of them about {longest}"
    if worst.unseated and worst.seats:
        yield f"{_number(len(worst.unseated))} cannot be seated here at all"


def _number(count: int) -> str:
    return _NUMBERS[count] if count < len(_NUMBERS) else str(count)


def _about(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds < 7200 else format_duration(seconds)


def _notes(cohort: Cohort, rounds: Sequence[Round]) -> Iterator[str]:
    """What fits and is still worth knowing."""
    for each in rounds:
        yield from _notes_of(cohort, each)
    if cohort.window.opens and cohort.window.closes:
        open_s = (cohort.window.closes - cohort.window.opens).total_seconds()
        lasts_s = sum(each.lasts_s for each in rounds)
        if lasts_s > open_s:
            yield f"all of it takes about {_about(lasts_s)}, and the window is open for {_about(open_s)}"
    if cohort.limits.sessions > 1:
        yield "planned for one session a learner at a time; whoever keeps two open takes two seats"


def _notes_of(cohort: Cohort, each: Round) -> Iterator[str]:
    if cohort.ttl < each.minutes * 60:
        yield f"{each.lab} takes {_about(each.minutes * 60)}, and sessions end after {_about(cohort.ttl)}: raise `ttl`"
    if cohort.profile is not None and each.profile != cohort.profile:
        yield f"{each.lab} has no profile {cohort.profile}; it runs with {each.profile}"
    asked, sharing = each.size.gpu, cohort.gpu.sharing
    if asked and sharing not in (None, asked.sharing) and cohort.gpu.need(asked) == asked:
        yield f"{each.lab} cannot be shared as {sharing}; {asked.sharing}, as the lab says"
    initial = cohort.sessions.initial
    if initial is not None and initial > each.seats:
        yield f"{each.lab}: {initial} initial sessions are asked for, and {each.seats} fit"
