"""`reap`: what a platform team runs in the cluster, so that sessions end without anybody's laptop."""

from __future__ import annotations

import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli import screen
from labctl.cli.options import Json, lifetime_s
from labctl.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from labctl.runtimes.kubernetes.reaping import Reaped


def reap(
    every: Annotated[
        str | None, typer.Option("--every", metavar="60s", help="Go on, once in so long; once when left out.")
    ] = None,
    heartbeat: Annotated[
        Path | None,
        typer.Option("--heartbeat", metavar="FILE", help="Touch this file after each round that went well."),
    ] = None,
    selector: Annotated[
        str,
        typer.Option(
            "--selector", metavar="LABELS", help="Only sessions whose namespaces bear these, as kubectl has it."
        ),
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be ended.")] = False,
    json: Json = False,
) -> None:
    """End what has expired in the cluster that KUBECONFIG, or the pod's own account, names. What learners wrote is kept."""
    from labctl import settings
    from labctl.runtimes.kubernetes.api import Api

    pause_s = lifetime_s(every, "--every: ", "for example --every 60s") if every else None
    api = Api(settings.load().kubeconfig)

    def once() -> list[Reaped]:
        from labctl.runtimes.kubernetes.reaping import reap as reap_all

        found = reap_all(api, datetime.now(UTC), selector=selector, dry_run=dry_run)
        if heartbeat is not None:
            heartbeat.touch()
        return found

    if pause_s is None:
        found = once()
        _tell(found, json=json)
        _complain(found, json=json)
        return
    signal.signal(signal.SIGTERM, _end)  # the first process of a container is not ended by it otherwise
    while True:
        _go_on(once, json=json)
        time.sleep(pause_s)


def _go_on(once: Callable[[], list[Reaped]], *, json: bool) -> None:
    """One round of many: a cluster that does not answer now may in a minute."""
    try:
        found = once()
    except EngineError as error:
        screen.hint(error.what)
        return
    if found:
        _tell(found, json=json)
        sys.stdout.flush()


def _tell(found: list[Reaped], *, json: bool) -> None:
    if json:
        rows = [
            {"session": each.session, "namespace": each.namespace, "what": each.what, "why": each.why or None}
            | {"problem": each.problem or None}
            for each in found
        ]
        screen.answer_json({"reaped": rows})
        return
    for each in found:
        screen.answer(f"{each.what} {each.session} ({each.namespace}): {each.problem or each.why}")
    if not found:
        screen.answer("nothing to end")


def _complain(found: list[Reaped], *, json: bool) -> None:
    from labctl.runtimes.kubernetes.reaping import problems

    if not (lines := problems(found)):
        return
    if json:
        raise typer.Exit(EngineError.exit_code)  # the one document on stdout names them already
    raise EngineError(f"{len(lines)} of the cluster's sessions need somebody to look", "the lines above say why")


def _end(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)
