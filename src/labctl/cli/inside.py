"""`logs`, `exec`, `shell`, `open`: look and work inside a session."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli import screen
from labctl.cli.options import Json, OptionalSession, SessionArgument, services, words_to_run
from labctl.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from labctl.runtimes.base import Runtime
    from labctl.sessions.context import Context
    from labctl.store.records import Session

WORKSPACE = "workspace"
ServiceOption = Annotated[
    str | None,
    typer.Option(
        "--service", "-s", metavar="SERVICE", help="In this service; else in the workspace.", autocompletion=services
    ),
]
ServiceArgument = Annotated[
    str | None,
    typer.Argument(metavar="[SERVICE]", help="Which service; the first one when left out.", autocompletion=services),
]


def logs(
    lab: OptionalSession = None,
    service: ServiceArgument = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as the service writes.")] = False,
    since: Annotated[
        str | None, typer.Option("--since", metavar="10m", help="Only when the log was written to since.")
    ] = None,
) -> None:
    """Show a service's log."""
    from labctl.sessions.presence import touch
    from labctl.units import parse_duration

    ctx, session, runtime = _session(lab)
    name = _service(session, service)
    touch(ctx.settings.home, session.id)
    try:
        seconds = parse_duration(since) if since else None
    except ValueError as error:
        raise UsageError(f"--since: {error}", "for example --since 10m") from error
    for line in runtime.logs(session.handle, name, follow=follow, since_s=seconds):
        screen.answer(line)


def exec_(
    lab: SessionArgument,
    command: Annotated[list[str], typer.Argument(metavar="-- CMD [ARG]…", help="What to run.")],
    service: ServiceOption = None,
) -> int:
    """Run a command with the lab's environment. Its exit code is labctl's."""
    from labctl.sessions.presence import present

    words = words_to_run(command, "exec", lab)
    ctx, session, runtime = _session(lab)
    if service is not None:
        _service(session, service)
    with present(ctx.settings.home, session.id, "exec"):
        return runtime.exec(session.handle, words, service=service)


def shell(lab: OptionalSession = None, service: ServiceOption = None) -> int:
    """Open a shell with the lab's environment."""
    if not sys.stdin.isatty():
        raise UsageError("a shell needs a terminal", f"run one command instead: labctl exec {lab or 'LAB'} -- CMD")
    from labctl.sessions.presence import present

    ctx, session, runtime = _session(lab)
    with present(ctx.settings.home, session.id, "shell"):
        return runtime.shell(session.handle, service=service)


def open_(
    lab: OptionalSession = None,
    service: ServiceArgument = None,
    print_only: Annotated[bool, typer.Option("--print", envvar="LABCTL_OPEN_PRINT", help="Only say the URL.")] = False,
    json: Json = False,
) -> None:
    """Open a service in the browser."""
    from labctl.sessions.presence import touch
    from labctl.target import CannotLook

    ctx, session, runtime = _session(lab)
    touch(ctx.settings.home, session.id)
    name = _service(session, service or _workspace(session))
    try:
        url = runtime.target(session.handle).url(name) + _key(session, runtime, name)
    except CannotLook as error:
        raise NotFoundError(str(error), f"`labctl status {session.lab}` shows what can be opened") from error
    if json:
        screen.answer_json({"session": session.id, "service": name, "url": url})
    else:
        screen.answer(url)
    if not print_only:
        typer.launch(url)


def _workspace(session: Session) -> str | None:
    """The learner's own page, where there is one: JupyterLab comes before the lab's services."""
    known = session.handle.get("services", {}).get(WORKSPACE)
    return WORKSPACE if known and known["ports"] else None


def _key(session: Session, runtime: Runtime, service: str) -> str:
    token = runtime.secrets(session.handle).get("JUPYTER_TOKEN")
    return f"/lab?token={token}" if service == WORKSPACE and token else ""


def _session(lab: str | None) -> tuple[Context, Session, Runtime]:
    from labctl.cli.context import context
    from labctl.sessions.find import find

    ctx = context()
    session = find(ctx, lab)
    return ctx, session, ctx.runtime(session.runtime)


def _service(session: Session, name: str | None) -> str:
    known = list(session.handle.get("services", {}))
    if not known:
        raise NotFoundError(f"{session.id} has no services", f"`labctl status {session.lab}` shows the session")
    if name is not None and name not in known:
        raise NotFoundError(f"{session.lab} has no service {name!r}", f"it has: {', '.join(known)}")
    return name or known[0]
