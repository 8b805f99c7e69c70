"""`up`: start a lab, or mend a session of it."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli import screen
from labctl.cli.options import (
    Json,
    LabArgument,
    LearnerOption,
    ProfileOption,
    Quiet,
    RuntimeOption,
    WorkspaceOption,
    lifetime_s,
)
from labctl.cli.steps import Steps
from labctl.cli.table import Cell
from labctl.errors import PreflightError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labctl.runtimes.base import Problem
    from labctl.sessions.context import Context
    from labctl.sessions.up import Prepared, UpRequest
    from labctl.sessions.view import SessionView
    from labctl.store.records import Session


def up(
    lab: LabArgument,
    runtime: RuntimeOption = None,
    profile: ProfileOption = None,
    learner: LearnerOption = None,
    workspace: WorkspaceOption = None,
    ttl: Annotated[str | None, typer.Option("--ttl", metavar="4h", help="How long it lives; 8h when left out.")] = None,
    idle_timeout: Annotated[
        str | None,
        typer.Option("--idle-timeout", metavar="1h", help="Its GPU goes back after so long without use; or never."),
    ] = None,
    no_gpu: Annotated[
        bool,
        typer.Option("--no-gpu", help="The gpu profile without its GPUs; `labctl run` borrows them for a command."),
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Stand in line for a GPU when none is free.")] = False,
    priority: Annotated[
        int, typer.Option("--priority", min=-1000, max=1000, help="Before smaller ones in that line; for the operator.")
    ] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Start a lab, or mend a drifted or half-dead session of it."""
    from labctl.cli.context import context
    from labctl.sessions.up import UpRequest

    ctx = context()
    known = ctx.store.session(lab)
    request = UpRequest(
        lab=known.lab_path if known else lab,
        learner=_learner(ctx, known, learner),
        cohort=known.cohort if known else None,
        runtime=runtime,
        profile=profile,
        workspace=workspace,
        ttl_s=lifetime_s(ttl, "--ttl: ", "for example --ttl 4h") if ttl is not None else None,
        idle_timeout_s=_idle_timeout_s(idle_timeout) if idle_timeout is not None else None,
        no_gpu=no_gpu,
        wait=wait,
        priority=operators(ctx, priority, wait=wait),
    )
    if dry_run:
        _dry_run(ctx, request, json=json)
        return
    began = ctx.now()
    seen = _start(ctx, request, quiet=quiet or json)
    if json:
        screen.answer_json(seen.to_json())
    elif quiet:
        screen.answer(seen.session.id)
    else:
        _print(ctx, seen, is_new=seen.session.created_at >= began)


def _start(ctx: Context, request: UpRequest, *, quiet: bool) -> SessionView:
    from labctl.sessions.up import up as start

    with Steps(quiet=quiet) as steps:
        return start(
            ctx,
            request,
            steps,
            waiting=lambda: screen.hint("another labctl works on this session; waiting for it"),
            announce=lambda todo: None if quiet else _announce(todo),
        )


def _announce(todo: list[str]) -> None:
    if todo:
        screen.hint(f"will {', '.join(todo)}")


def _learner(ctx: Context, known: Session | None, name: str | None) -> str:
    """For whom. The id of a session says it already."""
    from labctl.cli.context import learner_of

    if known is None or name is None:
        return known.learner if known else learner_of(ctx, name)
    if learner_of(ctx, name) != known.learner:
        raise UsageError(f"{known.id} is {known.learner}'s, not {name}'s", f"`labctl up {known.lab} --learner {name}`")
    return known.learner


def _idle_timeout_s(text: str) -> float:
    from labctl.settings import idle_timeout_s

    try:
        seconds = idle_timeout_s(text)
    except ValueError as error:
        raise UsageError(f"--idle-timeout: {error}", "for example --idle-timeout 30m, or never") from error
    return math.inf if seconds is None else seconds


def operators(ctx: Context, priority: int, *, wait: bool) -> int:
    """The priority, from whom it may come: root, or the user whom LABCTL_HOME belongs to; never from inside a session."""
    home = ctx.settings.home
    is_operator = os.geteuid() in (0, home.stat().st_uid if home.exists() else os.geteuid())
    if priority and ("LABCTL_SESSION" in os.environ or not is_operator):
        raise UsageError("--priority is for the operator of this host", "leave it out, and stand in line: --wait")
    if priority and not wait:
        raise UsageError("--priority is a place in the line, and this does not stand in it", "add --wait")
    return priority


def _dry_run(ctx: Context, request: UpRequest, *, json: bool) -> None:
    """What `up` would do; ends as it would when it would be refused."""
    from labctl.sessions.up import changes, prepare

    prepared = prepare(ctx, request)
    todo = changes(prepared)
    problems = prepared.runtime.preflight(prepared.plan)
    if json:
        values = {"session": prepared.plan.session, "would": todo, "problems": [problem.what for problem in problems]}
        screen.answer_json(values | {"plan": prepared.plan.model_dump(mode="json", by_alias=True)})
    else:
        _print_dry_run(prepared, todo, problems, f"labctl up {request.lab}")
    if problems:
        raise typer.Exit(PreflightError.exit_code)


def _print_dry_run(prepared: Prepared, todo: Sequence[str], problems: Sequence[Problem], again: str) -> None:
    plan = prepared.plan
    screen.line(Cell(f"{plan.session} on {prepared.runtime.name}, profile {plan.profile}", "bold"))
    for line in todo or ["nothing: it already runs as planned"]:
        screen.line(f"  • {line}")
    for problem in problems:
        screen.line(Cell(f"  ✗ {problem.what}", "red"))
        screen.hint(problem.hint)
    screen.hint(f"{again}    {'once that is mended' if problems else 'do it'}")


def _print(ctx: Context, seen: SessionView, *, is_new: bool) -> None:
    """The session, with its secrets when it has just begun: later `status --secrets` tells them."""
    from labctl.cli.status import print_session
    from labctl.sessions import workspace as workspaces

    session = seen.session
    print_session(seen, ctx.runtime(session.runtime).secrets(session.handle) if is_new else {})
    name = session.name_for(ctx.settings.learner)
    mine = f"labctl exec {name} -- CMD"
    width = len(mine)
    enter = f"cd {session.workspace}" if workspaces.of(ctx, session).folder else f"labctl shell {name}"
    screen.hint(
        f"{enter:<{width}}  your files; README.md says what to do",
        f"{'labctl show ' + session.lab:<{width}}  the instructions",
        *([f"{'labctl open ' + name:<{width}}  work in JupyterLab"] if _has_workspace(seen) else []),
        f"{mine}  run something with the lab's environment",
        f"{'labctl verify ' + name:<{width}}  see how far you are",
        f"{'labctl down ' + name:<{width}}  end it; your files stay",
    )


def _has_workspace(seen: SessionView) -> bool:
    return any(service.name == "workspace" and service.url for service in seen.services)
