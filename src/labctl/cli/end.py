"""`reset`, `extend`, `down`, `gc`: how work starts over and how sessions end."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli import screen
from labctl.cli.options import Json, LearnerOption, OptionalSession, Quiet, SessionArgument, lifetime_s
from labctl.cli.steps import Steps
from labctl.errors import EngineError, LabctlError, UsageError

if TYPE_CHECKING:
    from labctl.sessions.collected import Collected
    from labctl.sessions.context import Context
    from labctl.store.records import Session

AT_ONCE = 8
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def reset(
    lab: SessionArgument,
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE]…", help="Only these files of the starter.")
    ] = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Put the starter's files back; a dated copy of your work is kept."""
    from labctl.cli.context import context
    from labctl.sessions import workspace as workspaces
    from labctl.sessions.find import find
    from labctl.sessions.presence import touch
    from labctl.sessions.reset import reset as start_over

    ctx = context()
    session = find(ctx, lab)
    touch(ctx.settings.home, session.id)
    what = ", ".join(files) if files else f"everything in {workspaces.of(ctx, session).where}"
    confirm(f"Put the starter's files back in place of {what}? A copy is kept.", yes)
    done = start_over(ctx, session, files or [], waiting=_waiting)
    if json:
        screen.answer_json({"session": session.id, "copy": done.copy, "restored": list(done.restored)})
        return
    screen.answer(done.copy)
    screen.hint(f"{len(done.restored)} starter files are back", f"your work is kept in {done.copy}")


def extend(
    lab: SessionArgument,
    more: Annotated[str, typer.Argument(metavar="2h", help="How much longer.")],
    json: Json = False,
) -> None:
    """Give a session more time."""
    from labctl.cli.context import context
    from labctl.sessions.end import extend as later
    from labctl.sessions.find import find
    from labctl.store.records import iso
    from labctl.units import format_duration

    seconds = lifetime_s(more, "", "for example `labctl extend LAB 2h`")
    ctx = context()
    session = later(ctx, find(ctx, lab), seconds, waiting=_waiting)
    expires = iso(session.expires_at) if session.expires_at else None
    if json:
        screen.answer_json({"session": session.id, "expires_at": expires})
    else:
        left = format_duration((session.expires_at - ctx.now()).total_seconds()) if session.expires_at else "ever"
        screen.answer(f"{session.id} now lives until {expires}, {left} from now")


def down(
    lab: OptionalSession = None,
    purge: Annotated[bool, typer.Option("--purge", help="Delete the workspace too; asks first.")] = False,
    all: Annotated[bool, typer.Option("--all", help="Every session.")] = False,
    learner: LearnerOption = None,
    yes: Yes = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """End a session; your files stay."""
    from labctl.cli.context import context
    from labctl.sessions import workspace as workspaces

    ctx = context()
    sessions = _chosen(ctx, lab, learner, all=all)
    where = {session.id: workspaces.of(ctx, session).where for session in sessions}
    if purge:
        names = "\n  ".join(where.values())
        confirm(f"Delete for good:\n  {names}\nGo on?", yes)
    problems: dict[str, str | None] = {}
    for session, problem in _down_all(ctx, sessions, purge=purge, quiet=quiet or json):
        problems[session.id] = problem
        if not json and problem is None:
            _say_ended(ctx, session, where[session.id], purge=purge, quiet=quiet)
    if json:
        rows = [
            {"session": each.id, "workspace": where[each.id], "purged": purge, "problem": problems[each.id]}
            for each in sessions
        ]
        screen.answer_json({"sessions": rows})
    _complain(problems, json=json)


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be ended.")] = False,
    json: Json = False,
) -> None:
    """End what has expired, remove what no session owns, take idle GPUs back. Workspaces are kept."""
    from labctl.cli.context import context
    from labctl.sessions.end import gc as collect

    with Steps(quiet=json) as steps:
        found = collect(context(), steps, dry_run=dry_run)
    if json:
        rows = [
            {"session": each.session, "what": each.what, "why": each.why, "problem": each.problem or None}
            for each in found
        ]
        screen.answer_json({"dry_run": dry_run, "collected": rows})
    elif not found:
        screen.answer("nothing to end")
    else:
        for each in found:
            screen.answer(f"{_did(each, dry_run=dry_run)} {each.session}: {each.problem or each.why}")
    if json and any(each.problem for each in found):
        raise typer.Exit(EngineError.exit_code)  # the one document on stdout names them already
    if any(each.problem for each in found):
        raise EngineError(
            "some remains could not be removed", "run `labctl gc` again; `labctl doctor` checks the engine"
        )


def _did(each: Collected, *, dry_run: bool) -> str:
    ended, end = ("gave back the GPU of", "give back the GPU of") if each.what == "gpu" else ("ended", "end")
    if each.problem:
        return f"could not {end}"
    return f"would {end}" if dry_run else ended


def _chosen(ctx: Context, lab: str | None, learner: str | None, *, all: bool) -> list[Session]:
    from labctl.cli.context import learner_of
    from labctl.sessions.find import find

    if all:
        if lab:
            raise UsageError("--all and a lab's name exclude each other", "leave one of them out")
        return ctx.store.sessions(live=True)
    return [find(ctx, lab, learner_of(ctx, learner) if learner else None)]


def _down_all(
    ctx: Context, sessions: list[Session], *, purge: bool, quiet: bool
) -> Iterator[tuple[Session, str | None]]:
    """Each session with what kept it from ending. Several at once, and then without a line for each step."""
    if len(sessions) == 1:
        yield sessions[0], _down(ctx, sessions[0], purge=purge, quiet=quiet, alone=True)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(AT_ONCE) as pool:
        ended = pool.map(lambda session: _down(ctx, session, purge=purge, quiet=True, alone=False), sessions)
        yield from zip(sessions, ended, strict=True)


def _down(ctx: Context, session: Session, *, purge: bool, quiet: bool, alone: bool) -> str | None:
    """What kept the session from ending, None when nothing did: it must not keep the others. Raises it when `alone`."""
    from labctl.sessions.end import down as end

    try:
        with Steps(quiet=quiet) as steps:
            end(
                ctx,
                session,
                steps,
                purge=purge,
                waiting=_waiting,
            )
    except (LabctlError, OSError) as error:
        if alone:
            raise
        return error.what if isinstance(error, LabctlError) else str(error)
    return None


def _say_ended(ctx: Context, session: Session, where: str, *, purge: bool, quiet: bool) -> None:
    screen.answer(session.id if quiet else f"{session.id} has ended")
    if not quiet:
        kept = f"deleted {where}" if purge else f"your files are in {where}"
        screen.hint(kept, f"labctl up {session.name_for(ctx.settings.learner)}    go on where you were")


def _complain(problems: Mapping[str, str | None], *, json: bool) -> None:
    failed = [f"{session}: {problem}" for session, problem in problems.items() if problem is not None]
    if failed and json:
        raise typer.Exit(EngineError.exit_code)  # the one document on stdout names them already
    if failed:
        raise EngineError("; ".join(failed), "the others ended; `labctl status` shows what is left")


def confirm(question: str, yes: bool) -> None:
    """Ask on the terminal unless `yes`. Raises UsageError for a no, and without a terminal."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("this must be confirmed, and there is no terminal to ask on", "add --yes if you are sure")
    if not typer.confirm(question, err=True):
        raise UsageError("not confirmed, so nothing was changed")


def _waiting() -> None:
    screen.hint("another labctl works on this session, or stands in line with it; waiting for it")
