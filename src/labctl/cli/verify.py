"""`verify`: see how far the learner is, criterion by criterion."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labctl.cli import screen
from labctl.cli.options import Json, LearnerOption, OptionalSession, Quiet, criteria
from labctl.errors import EXIT_FAILED_CRITERIA, EXIT_NOT_OBSERVED, UsageError

if TYPE_CHECKING:
    from labctl.outcomes import CriterionResult, Report
    from labctl.runtimes.workspace import Workspace
    from labctl.sessions.context import Context
    from labctl.store.records import Session

WATCH_PAUSE_S = 2.0
LOOKS_AT_ONCE = 300
"""What it costs to look, where the files are elsewhere, is paid anew after as many."""
EXPLAINED = 3
"""How many criteria that did not pass are explained at once."""


def verify(
    lab: OptionalSession = None,
    criterion: Annotated[
        list[str] | None,
        typer.Option(
            "--criterion", "-c", metavar="ID", help="Only this one, and what it needs.", autocompletion=criteria
        ),
    ] = None,
    format: Annotated[
        str, typer.Option("--format", "-f", metavar="text|json|junit|html|ctrf", help="How it is written.")
    ] = "text",
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it to a file.")] = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Look again whenever a file changes, until all pass.")
    ] = False,
    learner: LearnerOption = None,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Judge a session by the lab's criteria. Exit 0: all pass, 1: some fail, 3: some could not be looked at."""
    from labctl.cli.context import context, learner_of
    from labctl.sessions import workspace as workspaces
    from labctl.sessions.find import find
    from labctl.sessions.presence import touch

    chosen = _format("json" if json else format)
    _check(output)
    ctx = context()
    session = find(ctx, lab, learner_of(ctx, learner) if learner else None)
    place = workspaces.of(ctx, session)
    while True:
        touch(ctx.settings.home, session.id)
        seen = place.state() if watch else ""  # before the look: what changes during it is looked at again
        report = _once(ctx, session, criterion or [], quiet=quiet or json)
        _write(report, chosen, output, quiet=quiet, only=criterion or [])
        if not watch or not _code(report) or not _wait_for_change(ctx, session, place, seen):
            break
    return _code(report)


def _check(output: Path | None) -> None:
    """Before anything is judged, which takes its time. Raises UsageError."""
    if output is not None and not output.absolute().parent.is_dir():
        raise UsageError(f"--output: {output.absolute().parent} is no folder", "make it first, or choose another place")
    if output is not None and output.is_dir():
        raise UsageError(f"--output: {output} is a folder", "give the name of a file in it")


def _format(name: str) -> str:
    from labctl.reports.formats import FORMATS

    if name not in FORMATS:
        raise UsageError(f"--format: {name!r} is no format", f"use one of: {', '.join(FORMATS)}")
    return name


def _once(ctx: Context, session: Session, only: list[str], *, quiet: bool) -> Report:
    from labctl.sessions.verify import verify as look

    with _spinner(quiet=quiet) as status:
        done: list[str] = []

        def note(result: CriterionResult) -> None:
            done.append(result.id)
            if status is not None:
                status.update(f"{len(done)} criteria judged, last {result.id}: {result.outcome}")

        return look(ctx, session, only=only, on_result=note)


def _spinner(*, quiet: bool) -> Any:
    if quiet or not screen.in_colour(sys.stderr):
        return contextlib.nullcontext()
    return screen.console(sys.stderr).status("looking …", spinner_style=screen.ACCENT)


def _write(report: Report, format: str, output: Path | None, *, quiet: bool, only: list[str]) -> None:
    from labctl.reports.formats import FORMATS
    from labctl.reports.terminal import print_report

    if output is not None:
        output.write_text(FORMATS[format](report), encoding="utf-8")
        screen.hint(f"written to {output}")
    elif quiet and format == "text":
        screen.answer(f"{report.outcome} {report.score}/{report.max_score}")
    elif format == "text":
        print_report(report, screen.console(sys.stdout), explained=None if only else EXPLAINED)
    else:
        screen.answer(FORMATS[format](report))


def _code(report: Report) -> int:
    outcome = report.outcome
    return {"pass": 0, "fail": EXIT_FAILED_CRITERIA}.get(outcome.value, EXIT_NOT_OBSERVED)


def _wait_for_change(ctx: Context, session: Session, place: Workspace, before: str) -> bool:
    """Whether to look again: True once a file has changed, False when the session has ended."""
    screen.hint("watching your files; Ctrl-C ends it")
    while True:
        with place.held():
            for _ in range(LOOKS_AT_ONCE):
                if place.state() != before:
                    return True
                time.sleep(WATCH_PAUSE_S)
                now = ctx.store.session(session.id)
                if now is None or not now.live:
                    screen.hint("the session has ended, so there is nothing more to watch")
                    return False
