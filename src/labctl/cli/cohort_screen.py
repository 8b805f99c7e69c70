"""How a plan for a class is shown, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from labctl.cli import screen
from labctl.cli.table import Cell
from labctl.cohorts.grades import grade
from labctl.cohorts.host import NeededImage
from labctl.cohorts.roster import Roster
from labctl.cohorts.rounds import PLENTY, cpus_of
from labctl.cohorts.seat import Seat
from labctl.cohorts.seats import Host, Round, SeatPlan
from labctl.cohorts.spec import Cohort, CohortFile
from labctl.store.records import Attempt, Session
from labctl.units import format_duration, format_mib

_SHOWN_NAMES = 8
_SHOWN_WAVES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Everything that `cohort plan` found out."""

    file: CohortFile
    roster: Roster
    runtime: str
    host: Host
    plan: SeatPlan
    images: tuple[NeededImage, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The object of `cohort plan --json`."""
        spec, plan, host = self.file.spec, self.plan, self.host
        people = [
            {"id": p.id, "name": p.name, "email": p.email, "number": p.number, "line": p.line}
            for p in self.roster.people
        ]
        return {
            "cohort": spec.name,
            "title": spec.title or spec.name,
            "runtime": self.runtime,
            "summary": plan.summary,
            "all_at_once": plan.all_at_once,
            "learners": plan.learners,
            "roster": {
                "path": str(self.file.roster),
                "platform": self.roster.platform or None,
                "people": people,
                "problems": [asdict(each) for each in self.roster.problems],
                "notes": list(self.roster.notes),
            },
            "host": {
                "cores": host.cores,
                "memory_mib": host.memory_mib,
                "disk_mib": host.disk_mib,
                "gpus": len(host.inventory.gpus),
            },
            "labs": [_round_json(self, each) for each in plan.rounds],
            "changes": [asdict(each) for each in plan.changes],
            "disk_mib": plan.disk_mib,
            "images": [asdict(each) for each in self.images],
            "gpu_hours": plan.gpu_hours,
            "gpu_hours_most": plan.gpu_hours_most,
            "cost": plan.cost,
            "currency": plan.currency or None,
            "notes": list(self.notes),
        }


def show(answer: Answer) -> None:
    """The plan on stdout; what to do next, and what is worth knowing, on stderr."""
    spec, plan = answer.file.spec, answer.plan
    people = "1 learner" if plan.learners == 1 else f"{plan.learners} learners"
    screen.line(Cell(spec.title or spec.name, f"bold {screen.ACCENT}"), Cell(f"· {people} · {answer.runtime}", "dim"))
    screen.line(Cell(plan.summary, "green" if plan.all_at_once else "yellow"))
    screen.line()
    columns = ("LAB", "PROFILE", "EACH TAKES", "AT ONCE", "WAVES", "TAKES")
    screen.table(columns, [_row(answer, each) for each in plan.rounds], right=("AT ONCE", "WAVES", "TAKES"))
    screen.line()
    screen.table(("", ""), list(_facts(answer)))
    waits = list(_waits(answer))
    if waits:
        screen.line()
        screen.table(("WAVE", "STARTS AFTER", "WHO"), waits)
    screen.hint(*answer.notes)
    if plan.all_at_once:
        lab = plan.rounds[0].lab
        if any(not each.present for each in answer.images):
            screen.hint(f"labctl image pull {lab}    bring what it needs before the class")
        screen.hint(f"labctl cohort up {answer.file.path}    start everybody's session")
        return
    screen.hint(*(f"everybody fits with {each.what}" for each in plan.changes))
    if not plan.changes:
        screen.hint("no single change seats everybody; fewer learners at once, or a larger machine, would")


def _row(answer: Answer, each: Round) -> tuple[Cell | str, ...]:
    size, spec = each.size, answer.file.spec
    need = spec.gpu.need(size.gpu) if size.gpu else None
    gpu = (
        f", {need.count} GPU {f'{format_mib(need.memory_mib)} ' if need.memory_mib else ''}({need.sharing})"
        if need
        else ""
    )
    return (
        Cell(each.lab, "bold"),
        each.profile,
        f"{format_mib(size.memory_mib)}, {cpus_of(spec, size):g} cores{gpu}",
        Cell(f"{each.seats} of {answer.plan.learners}", "" if each.all_at_once else "yellow"),
        str(len(each.waves)),
        format_duration(each.lasts_s) if each.waves else "–",
    )


def _facts(answer: Answer) -> Iterator[tuple[Cell | str, ...]]:
    plan, host = answer.plan, answer.host
    tightest = plan.tightest
    if tightest is not None and tightest.bottleneck:
        yield Cell("bottleneck", "bold"), Cell(tightest.bottleneck)
    gpus = len(host.inventory.gpus)
    has = f"{host.cores:g} cores, {format_mib(host.memory_mib)} memory and {format_mib(host.disk_mib)} disk free, {gpus or 'no'} GPU{'' if gpus == 1 else 's'}"
    yield Cell("this host", "bold"), Cell(has)
    lacking = " (more than there is)" if plan.disk_mib > host.disk_mib else ""
    yield Cell("disk", "bold"), Cell(f"at most {format_mib(plan.disk_mib)}{lacking}")
    if answer.images:
        yield Cell("images", "bold"), Cell(_images(answer.images))
    if plan.gpu_hours:
        price = f", {plan.cost:.2f} {plan.currency}".rstrip() if plan.cost is not None else ""
        yield (
            Cell("GPU hours", "bold"),
            Cell(f"{plan.gpu_hours:.1f}{price}; at most {plan.gpu_hours_most:.1f}, until the ttl"),
        )


def _images(images: Sequence[NeededImage]) -> str:
    names = ", ".join(each.name for each in images)
    if any(each.present is None for each in images):
        return f"{names} (no engine could be asked)"
    lacking = [each.name for each in images if not each.present]
    there = format_mib(sum(each.size_mib or 0 for each in images))
    return f"{names}; all there ({there})" if not lacking else f"{names}; to be brought: {', '.join(lacking)}"


def _waits(answer: Answer) -> Iterator[tuple[Cell | str, ...]]:
    """Who waits in the tightest lab; of many waves the first and the last."""
    tightest = answer.plan.tightest
    if tightest is None:
        return
    names = {person.id: person.name for person in answer.roster.people}
    waves = [
        (str(number), format_duration(wave.starts_s), Cell(_who([names[id] for id in wave.learners])))
        for number, wave in enumerate(tightest.waves, 1)
    ][1:]
    yield from waves[: _SHOWN_WAVES - 1]
    if len(waves) > _SHOWN_WAVES:
        yield "…", "", ""
    yield from waves[_SHOWN_WAVES - 1 :][-1:]
    if tightest.unseated:
        yield "–", "never", Cell(_who([names[id] for id in tightest.unseated]))


def _who(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN_NAMES
    return ", ".join(names[:_SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")


def _round_json(answer: Answer, each: Round) -> dict[str, Any]:
    size, spec = each.size, answer.file.spec
    return {
        "lab": each.lab,
        "minutes": each.minutes,
        "profile": each.profile,
        "memory_mib": size.memory_mib,
        "cpus": cpus_of(spec, size),
        "gpu": asdict(spec.gpu.need(size.gpu)) if size.gpu else None,
        "seats": each.seats,
        "reserved": each.reserved,
        "bounds": {name: number for name, number in each.bounds.items() if number < PLENTY},
        "bottleneck": each.bottleneck or None,
        "waves": [asdict(wave) for wave in each.waves],
        "unseated": list(each.unseated),
        "disk_mib": each.disk_mib,
        "images": list(size.images),
        "gpu_hours": each.gpu_hours,
    }


def status_json(
    cohort: Cohort, seats: Sequence[Seat], sessions: Mapping[str, Session], attempts: Mapping[str, Sequence[Attempt]]
) -> dict[str, Any]:
    """The object of `cohort status --json`."""
    rows = []
    for seat in seats:
        session, got = sessions.get(seat.session), grade(cohort, attempts.get(seat.session, ()))
        rows.append(
            {
                "learner": seat.person.id,
                "name": seat.person.name,
                "lab": seat.lab,
                "session": seat.session,
                "state": session.state.value if session else None,
                "detail": session.detail if session else "",
                "points": got.points,
                "max_points": got.max_points,
                "attempts": got.attempts,
                "passed": any(attempt.passed for attempt in attempts.get(seat.session, ())),
            }
        )
    return {"cohort": cohort.name, "title": cohort.title or cohort.name, "seats": rows}


def show_status(
    cohort: Cohort, seats: Sequence[Seat], sessions: Mapping[str, Session], attempts: Mapping[str, Sequence[Attempt]]
) -> None:
    """A row for each learner, a column for each lab."""
    by_person: dict[str, dict[str, Seat]] = {}
    for seat in seats:
        by_person.setdefault(seat.person.id, {})[seat.lab] = seat
    rows = [
        [
            Cell(next(iter(labs.values())).person.name, "bold"),
            Cell(id, "dim"),
            *(_standing(cohort, labs[lab], sessions, attempts) for lab in cohort.labs),
        ]
        for id, labs in by_person.items()
    ]
    live = sum(sessions[seat.session].live for seat in seats if seat.session in sessions)
    passed = sum(any(attempt.passed for attempt in attempts.get(seat.session, ())) for seat in seats)
    screen.line(
        Cell(cohort.title or cohort.name, f"bold {screen.ACCENT}"),
        Cell(f"· {len(by_person)} learners · {live} sessions · {passed} of {len(seats)} labs passed", "dim"),
    )
    screen.line()
    screen.table(("LEARNER", "ID", *cohort.labs), rows)


def _standing(
    cohort: Cohort, seat: Seat, sessions: Mapping[str, Session], attempts: Mapping[str, Sequence[Attempt]]
) -> Cell:
    """How one learner stands in one lab: points where there was an attempt, else the session's state."""
    session, tried = sessions.get(seat.session), attempts.get(seat.session, ())
    state = session.state.value.lower() if session and session.live else ""
    if not tried:
        return screen.state(state) if state else Cell("–", "dim")
    got = grade(cohort, tried)
    text = f"{got.points:g}/{got.max_points}" + (f" {state}" if state else "")
    return Cell(text, "green" if got.attempt and got.attempt.passed else "yellow")
