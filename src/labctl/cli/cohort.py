"""`cohort …`: a whole class at once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli import screen
from labctl.cli.cohort_open import (
    CohortArgument,
    JobsOption,
    RestartedArgument,
    WhoArgument,
    answer,
    opened,
    running,
    tell_problems,
)
from labctl.cli.cohort_watch import Watch
from labctl.cli.end import Yes, confirm
from labctl.cli.options import Json, lifetime_s
from labctl.errors import UsageError

if TYPE_CHECKING:
    from labctl.cli.cohort_screen import Answer
    from labctl.cohorts.roster import Roster
    from labctl.cohorts.spec import CohortFile
    from labctl.sessions.context import Context

app = typer.Typer(help="A class on one command.", no_args_is_help=True)


@app.command("plan")
def plan(file: CohortArgument, json: Json = False) -> None:
    """Say how many of a class fit at once, who waits for how long, and what would seat them all; starts nothing."""
    from labctl.cli.cohort_screen import show
    from labctl.cli.context import context
    from labctl.cohorts import roster, spec

    ctx = context()
    found = spec.load(file, ctx.settings.labs)
    people = roster.read(found.roster)
    tell_problems(found.roster, people)
    planned = _planned(ctx, found, people)
    if json:
        screen.answer_json(planned.to_json())
        return
    show(planned)


def _planned(ctx: Context, found: CohortFile, people: Roster) -> Answer:
    """Everything that `cohort plan` finds out."""
    from labctl.cli.cohort_screen import Answer
    from labctl.cohorts import host, seats
    from labctl.labs.lab import load

    runtime = found.spec.runtime or ctx.settings.runtime
    machine, unseen = host.look(ctx, runtime)
    labs = [host.lab_need(load(lab, ctx.settings.labs), runtime) for lab in found.spec.labs]
    ids = [person.id for person in people.people]
    planned = seats.plan_seats(found.spec, ids, labs, machine, ctx.settings.gpu_hour_price)
    return Answer(
        file=found,
        roster=people,
        runtime=runtime,
        host=machine,
        plan=planned,
        images=tuple(host.needed_images(ctx.settings, planned.rounds, runtime)),
        notes=(*unseen, *planned.notes),
    )


@app.command("up")
def up(
    file: CohortArgument,
    at_once: Annotated[
        int, typer.Option("--at-once", min=1, max=64, help="How many sessions are started at a time.")
    ] = 8,
    json: Json = False,
) -> int:
    """Start everybody's session. Doing it again starts what failed or is missing, and leaves alone what runs."""
    from labctl.cohorts import classroom

    ctx, found, people, seats = opened(file)
    profiles = {each.lab: each.profile for each in _planned(ctx, found, people).plan.rounds}
    due = classroom.due(found.spec, seats, ctx)
    with Watch(len(due), "up", quiet=json) as watch:
        done = classroom.start(ctx, found.spec, due, profiles, watch.step, watch.done, at_once=at_once)
        spares = classroom.spares(ctx, found.spec)
        done += classroom.start(ctx, found.spec, spares, profiles, watch.step, watch.done, at_once=at_once)
    return answer(found, [*due, *spares], done, json=json, then=f"labctl cohort status {file}    who is how far")


@app.command("verify")
def verify(
    file: CohortArgument,
    again: Annotated[bool, typer.Option("--again", help="Also what has passed before.")] = False,
    jobs: JobsOption = None,
    json: Json = False,
) -> int:
    """Judge every running session that has not passed yet, several at a time; every report is kept."""
    from labctl.cohorts import classroom

    ctx, found, _, seats = opened(file)
    with Watch(0, "verified", quiet=json) as watch:
        done = classroom.verify(ctx, seats, watch.done, again=again, at_once=jobs)
    chosen = [each.seat for each in done]
    return answer(found, chosen, done, json=json, then=f"labctl cohort export {file}    the grades")


@app.command("close")
def close(file: CohortArgument, jobs: JobsOption = None, json: Json = False) -> int:
    """Wait for the deadline, keep a copy of everybody's files as they stand then, and judge them."""
    from labctl.cohorts import classroom, closing

    ctx, found, people, _ = opened(file)
    with Watch(0, "closed", quiet=json) as watch:
        as_of = closing.wait_for(ctx, found.spec, watch.waits)
        sessions, seats = running(ctx, found, people, None)
        at_once = jobs or classroom.judged_at_once(ctx, sessions)
        done = closing.close(ctx, sessions, seats, as_of, watch.done, at_once=at_once)
    return answer(
        found, [each.seat for each in done], done, json=json, then=f"labctl cohort export {file}    the grades"
    )


@app.command("down")
def down(
    file: CohortArgument,
    purge: Annotated[bool, typer.Option("--purge", help="Delete everybody's files too; asks first.")] = False,
    yes: Yes = False,
    json: Json = False,
) -> int:
    """End every session of the cohort; everybody's files stay."""
    from labctl.cohorts import classroom

    ctx, found, people, _ = opened(file)
    sessions, seats = running(ctx, found, people, None, ended=purge)
    if purge and sessions:
        learners = len({session.person for session in sessions})
        confirm(f"Delete the files of {learners} learners in {len(sessions)} sessions for good?", yes)
    with Watch(len(seats), "ended", quiet=json) as watch:
        done = classroom.end(ctx, sessions, seats, watch.step, watch.done, purge=purge)
    return answer(found, seats, done, json=json, then=f"labctl cohort export {file}    the grades")


@app.command("extend")
def extend(
    file: CohortArgument,
    more: Annotated[str, typer.Argument(metavar="2h", help="How much longer.")],
    who: WhoArgument = None,
    json: Json = False,
) -> int:
    """Give everybody's sessions more time, or only those of some."""
    from labctl.cohorts import classroom

    seconds = lifetime_s(more, "", "for example `labctl cohort extend FILE 2h`")
    ctx, found, people, _ = opened(file)
    sessions, seats = running(ctx, found, people, who)
    with Watch(len(seats), "extended", quiet=json) as watch:
        done = classroom.prolong(ctx, sessions, seats, seconds, watch.done)
    return answer(found, seats, done, json=json, then=f"labctl cohort status {file}    who is how far")


@app.command("restart")
def restart(file: CohortArgument, who: RestartedArgument, json: Json = False) -> int:
    """End the sessions of some learners and start them anew; their files stay."""
    from labctl.cohorts import classroom

    ctx, found, people, _ = opened(file)
    sessions, seats = running(ctx, found, people, who)
    profiles = {session.lab: session.profile for session in sessions}
    with Watch(len(seats), "restarted", quiet=json) as watch:
        ended = classroom.end(ctx, sessions, seats, watch.step, lambda done: watch.done(done) if done.problem else None)
        again = [each.seat for each in ended if not each.problem]
        begun = classroom.start(ctx, found.spec, again, profiles, watch.step, watch.done)
    done = [*(each for each in ended if each.problem), *begun]
    return answer(found, seats, done, json=json, then=f"labctl cohort status {file}    who is how far")


@app.command("add")
def add(
    file: CohortArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the person is called.")],
    email: Annotated[str, typer.Option("--email", metavar="ADDRESS", help="Their email address.")] = "",
    number: Annotated[
        str, typer.Option("--id", envvar="LABCTL_COHORT_ADD_ID", metavar="ID", help="Their ID or user name.")
    ] = "",
    json: Json = False,
) -> None:
    """Put somebody on the list of people, at its end and in its form."""
    from labctl.cohorts import enrolment

    _, found, _, _ = opened(file)
    person = enrolment.add(found.roster, name=name, email=email, number=number)
    if json:
        screen.answer_json({"cohort": found.spec.name, "learner": person.id, "name": person.name})
        return
    screen.answer(person.id)
    screen.hint(f"labctl cohort up {file}    start what is missing")


@app.command("remove")
def remove(
    file: CohortArgument,
    who: Annotated[str, typer.Argument(metavar="LEARNER", help="A learner by id, ID, email address or name.")],
    json: Json = False,
) -> int:
    """End somebody's sessions and take them off the list; their files and reports stay."""
    from labctl.cohorts import classroom, enrolment

    ctx, found, people, _ = opened(file)
    person = people.find(who)
    mine = [session for session in classroom.of_cohort(ctx, found.spec) if session.person == person.id]
    sessions, seats = running(ctx, found, people, [person.id]) if mine else ([], [])
    with Watch(len(seats), "ended", quiet=json) as watch:
        done = classroom.end(ctx, sessions, seats, watch.step, watch.done)
    if not any(each.problem for each in done):
        enrolment.remove(found.roster, person.id)
    return answer(found, seats, done, json=json, then=f"labctl cohort status {file}    who is how far")


@app.command("status")
def status(file: CohortArgument, json: Json = False) -> None:
    """Who is how far: everybody's session and best result, lab by lab."""
    from labctl.cli.cohort_screen import show_status, status_json

    ctx, found, _, seats = opened(file)
    sessions = {session.id: session for session in ctx.store.sessions() if session.cohort == found.spec.name}
    attempts = ctx.store.attempts()
    if json:
        screen.answer_json(status_json(found.spec, seats, sessions, attempts))
        return
    show_status(found.spec, seats, sessions, attempts)
    screen.hint(f"labctl cohort verify {file}    look at everybody's work now")


@app.command("board")
def board(
    file: CohortArgument,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="A free one when left out.")] = 0,
) -> None:
    """Serve the instructor's board to this host's own browser, until Ctrl-C; `labctl hub serve` is for learners too."""
    import importlib.util

    from labctl.cli.context import context
    from labctl.errors import PreflightError

    if importlib.util.find_spec("uvicorn") is None:
        raise PreflightError("what the board needs is not installed", "`pip install 'labctl[hub]'`")
    from labctl.hub.board.serving import serve_here

    def tell(link: str) -> None:
        screen.answer(link)
        sys.stdout.flush()  # whoever reads it from a pipe waits for it
        screen.hint("good for one browser of this host; Ctrl-C ends the board, and nothing else")

    serve_here(context(), file, port, tell)


@app.command("export")
def export(
    file: CohortArgument,
    format: Annotated[
        str,
        typer.Option("--format", "-f", metavar="FORMAT", help="csv, json, canvas, moodle, blackboard or brightspace."),
    ] = "csv",
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it to a file.")] = None,
    reports: Annotated[
        Path | None, typer.Option("--reports", metavar="DIR", help="Also each attempt that counts, as HTML and JUnit.")
    ] = None,
) -> None:
    """Write everybody's grades: of each lab the best or the last attempt, as the cohort file says."""
    from labctl.cli.cohort_reports import write_reports
    from labctl.cohorts import gradebook, grades

    if format not in gradebook.FORMATS:
        raise UsageError(f"--format: {format!r} is no format", f"use one of: {', '.join(gradebook.FORMATS)}")
    if output is not None and (output.is_dir() or not output.absolute().parent.is_dir()):
        raise UsageError(f"--output: {output} cannot be written", "give the name of a file in a folder that there is")
    ctx, found, _, seats = opened(file)
    rows = grades.rows(found.spec, seats, ctx.store.attempts())
    text = gradebook.FORMATS[format](found.spec, rows)
    if reports is not None:
        count = write_reports(ctx, rows, reports)
        screen.hint(f"{count} reports are in {reports}")
    if output is None:
        screen.answer(text)
    else:
        output.write_text(text, encoding="utf-8", newline="")
        screen.hint(f"the grades of {len(rows)} learners are in {output}")


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new cohort's name, for example autumn-2026.")],
    folder: Annotated[
        Path, typer.Option("--in", envvar="LABCTL_COHORT_NEW_IN", metavar="DIR", help="Where its folder is made.")
    ] = Path(),
    json: Json = False,
) -> None:
    """Write a cohort file and a list of people that work, to start from."""
    from labctl.cohorts.scaffold import scaffold

    made = scaffold(name, folder)
    if json:
        screen.answer_json({"cohort": name, "path": str(made)})
        return
    screen.answer(str(made))
    screen.hint(
        f"put your class into {made / 'roster.csv'}, and its labs into {made / 'cohort.yaml'}",
        f"labctl cohort plan {made}    how many fit at once",
    )


@app.command("schema")
def schema() -> None:
    """The JSON Schema of cohort.yaml, for editors."""
    from labctl.cohorts.spec import cohort_schema

    screen.answer_json(cohort_schema())
