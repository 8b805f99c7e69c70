"""What the commands of a running cohort share: how it is named, what they begin with, and what they answer."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli import screen
from labctl.errors import EXIT_FAILED_CRITERIA, NotFoundError
from labctl.reports.plain import one_line

if TYPE_CHECKING:
    from labctl.cohorts.classroom import Done
    from labctl.cohorts.roster import Roster
    from labctl.cohorts.seat import Seat
    from labctl.cohorts.spec import CohortFile
    from labctl.sessions.context import Context
    from labctl.store.records import Session

CohortArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="The cohort file, or a folder with a cohort.yaml in it.")
]

_WHO = "Learners by id, ID, email address or name."
WhoArgument = Annotated[list[str] | None, typer.Argument(metavar="[LEARNER]…", help=_WHO)]
RestartedArgument = Annotated[list[str], typer.Argument(metavar="LEARNER…", help=_WHO)]
JobsOption = Annotated[
    int | None,
    typer.Option(
        "--jobs", "-j", min=1, max=500, help="How many at the same time; one a core when left out, more on a cluster."
    ),
]


def tell_problems(path: Path, found: Roster) -> None:
    """What is wrong with a list of people, line by line on stderr, and what had to be guessed."""
    for note in found.notes:
        screen.hint(one_line(f"{path}: {note}"))
    for each in found.problems:
        sys.stderr.write(f"{one_line(f'{path}:{each.line}: {each.what}')}{'' if each.kept else ' (left out)'}\n")
    out = sum(not each.kept for each in found.problems)
    if out:
        lines = "1 line is" if out == 1 else f"{out} lines are"
        screen.hint(f"{lines} left out, and {len(found.people)} people stay")


def opened(file: Path) -> tuple[Context, CohortFile, Roster, list[Seat]]:
    """What every command of a running cohort begins with; what is wrong with the list is told."""
    from labctl.cli.context import context
    from labctl.cohorts import roster, spec
    from labctl.cohorts.seat import seats

    ctx = context()
    found = spec.load(file, ctx.settings.labs)
    people = roster.read(found.roster)
    tell_problems(found.roster, people)
    return ctx, found, people, seats(found.spec, people.people, ctx.store.sessions())


def running(
    ctx: Context, found: CohortFile, people: Roster, who: Sequence[str] | None, *, ended: bool = False
) -> tuple[list[Session], list[Seat]]:
    """The cohort's sessions with their seats, with `ended` those of before too; of `who` alone, where somebody is named.

    Raises NotFoundError.
    """
    from labctl.cohorts import classroom
    from labctl.cohorts.seat import of_session

    sessions = classroom.of_cohort(ctx, found.spec, ended=ended)
    if who:
        named = {people.find(each).id for each in who}
        sessions = [session for session in sessions if session.person in named]
        idle = sorted(named - {session.person for session in sessions})
        if idle:
            raise NotFoundError(
                f"{', '.join(idle)}: no session is running", "`labctl cohort up FILE` starts what is missing"
            )
    return sessions, [of_session(session, people.people) for session in sessions]


def answer(found: CohortFile, seats: Sequence[Seat], done: Sequence[Done], *, json: bool, then: str) -> int:
    """What came of it; 1 when something failed for somebody."""
    failed = [each for each in done if each.problem]
    if json:
        rows = [
            {
                "session": each.seat.session,
                "lab": each.seat.lab,
                "learner": each.seat.person.id,
                "ok": not each.problem,
                "words": each.words,
                "problem": each.problem or None,
                "hint": each.hint or None,
                "took_s": round(each.took_s, 3),
            }
            for each in done
        ]
        screen.answer_json({"cohort": found.spec.name, "ok": not failed, "sessions": rows})
    else:
        screen.line(f"{len(done) - len(failed)} of {len(seats)} done" + (f", {len(failed)} failed" if failed else ""))
        screen.hint(*(["the same command again does only what failed"] if failed else []), then)
    return EXIT_FAILED_CRITERIA if failed else 0
