"""`lab …`: for people who write labs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from labctl.cli import screen
from labctl.cli.options import Json, SessionArgument
from labctl.cli.proving import prove_lab
from labctl.cli.steps import Steps
from labctl.cli.table import Cell
from labctl.errors import LabFileError
from labctl.reports.plain import one_line

app = typer.Typer(help="Write, check and prove labs.", no_args_is_help=True)


@app.command("new")
def new(
    id: Annotated[str, typer.Argument(metavar="ID", help="The new lab's id, for example stage1-my-lab.")],
    folder: Annotated[
        Path,
        typer.Option("--in", envvar="LABCTL_LAB_NEW_IN", metavar="DIR", help="The folder of labs it goes into."),
    ] = Path("labs"),
    from_compose: Annotated[
        Path | None,
        typer.Option(
            "--from-compose",
            envvar="LABCTL_LAB_NEW_FROM_COMPOSE",
            metavar="FILE",
            help="Make the lab's services from this Compose file; what cannot be carried over is listed.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Write a small lab that works, to start from."""
    from labctl.labs.scaffold import scaffold

    if from_compose is not None:
        _new_from_compose(id, folder, from_compose, json=json)
        return
    made = scaffold(id, folder)
    if json:
        screen.answer_json({"lab": id, "path": str(made.absolute())})
        return
    screen.answer(str(made))
    screen.hint(f"labctl lab validate {made}    check it", f"labctl lab test {made}        prove it")


def _new_from_compose(id: str, folder: Path, compose: Path, *, json: bool) -> None:
    from labctl.labs.scaffold import scaffold_from_compose

    made, notes = scaffold_from_compose(id, folder, compose)
    if json:
        listed = [{"place": note.place, "what": note.what, "todo": note.todo} for note in notes]
        screen.answer_json({"lab": id, "path": str(made.absolute()), "notes": listed})
        return
    screen.answer(str(made))
    if notes:
        screen.hint(f"{len(notes)} to look at (also at the top of {made / 'lab.yaml'}):")
    for note in notes:
        sys.stderr.write(f"  {one_line(str(note))}\n")
    screen.hint(f"labctl lab validate {made}    check it", f"labctl up {made} --runtime docker    try it")


@app.command("validate")
def validate(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[LAB]…", help="Lab ids or folders; every lab and course when left out."),
    ] = None,
    json: Json = False,
) -> None:
    """Report every mistake of a lab with file, line and column; starts nothing."""
    from labctl import settings
    from labctl.labs import catalog
    from labctl.sessions.lint import problems

    more = settings.load().labs
    folders = [_folder(name, more) for name in paths or ()] or [row.path for row in catalog.summaries(more)]
    found = {str(folder): problems(folder.absolute()) for folder in folders}
    if not paths:
        found |= _problems_of_courses(more)
    lines = [line for mistakes in found.values() for line in mistakes]
    if json:
        screen.answer_json({"labs": found})
    for folder, mistakes in found.items():
        if not json and not mistakes:
            screen.line(Cell("✓", "green"), folder)
    if lines:
        if json:
            raise typer.Exit(LabFileError.exit_code)
        raise LabFileError("\n".join(lines), f"{len(lines)} to mend; docs/lab-file.md lists every field")


def _problems_of_courses(more: Sequence[Path]) -> dict[str, list[str]]:
    from labctl.labs import catalog, course_spec, courses

    ids = {row.id for row in catalog.summaries(more)}
    return {str(file): course_spec.problems(file, ids) for file in courses.files(more)}


def _folder(name: str, more: Sequence[Path]) -> Path:
    """A folder as it is typed, right or wrong; else the lab with this id."""
    from labctl.labs import catalog

    return Path(name) if Path(name).is_dir() else catalog.find(name, more)


app.command("test")(prove_lab)


@app.command("solve")
def solve(
    lab: SessionArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Apply the lab's solution to a running session; a dated copy of the workspace is kept."""
    from labctl.cli.context import context
    from labctl.cli.end import confirm
    from labctl.sessions import workspace as workspaces
    from labctl.sessions.find import find
    from labctl.sessions.prove import solve as apply

    ctx = context()
    session = find(ctx, lab)
    confirm(f"Lay the solution over {workspaces.of(ctx, session).where}? A copy is kept.", yes)
    with Steps(quiet=json) as steps:
        copy = apply(ctx, session, steps)
    if json:
        screen.answer_json({"session": session.id, "copy": copy})
        return
    screen.answer(copy)
    screen.hint(
        f"what was there is kept in {copy}",
        f"labctl verify {session.name_for(ctx.settings.learner)}    see what it brought",
    )


@app.command("schema")
def schema() -> None:
    """The JSON Schema of lab.yaml, for editors."""
    from labctl.labs.schema import lab_schema

    screen.answer_json(lab_schema())
