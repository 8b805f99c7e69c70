"""`run`: a GPU for one command."""

from __future__ import annotations

from typing import Annotated

import typer

from labctl.cli import screen
from labctl.cli.options import SessionArgument, words_to_run
from labctl.cli.steps import Steps


def run(
    lab: SessionArgument,
    command: Annotated[list[str], typer.Argument(metavar="-- CMD [ARG]…", help="What to run.")],
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Stand in line for a GPU when none is free, or be refused.")
    ] = True,
) -> int:
    """Borrow a GPU for one command, and give it back. Its exit code is labctl's.

    The command runs in the session's workspace with the session's own environment: one that was started with the cpu
    profile has that profile's packages. A session that holds a GPU uses its own. Options come before LAB.
    """
    from labctl.cli.context import context
    from labctl.sessions.borrow import borrow
    from labctl.sessions.find import find

    words = words_to_run(command, "run", lab)
    ctx = context()
    session = find(ctx, lab)
    with Steps() as steps:
        return borrow(
            ctx,
            session,
            words,
            steps,
            wait=wait,
            waiting=lambda: screen.hint("another `labctl run` of this session is at it; waiting for it"),
        )
