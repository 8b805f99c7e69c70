"""`gpu`: what GPUs there are, who holds them, why they can or cannot be used, and the same for Prometheus."""

from __future__ import annotations

import re
import signal
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli import screen
from labctl.cli.options import Json, RuntimeOption
from labctl.cli.usage import usage
from labctl.errors import UsageError

if TYPE_CHECKING:
    from labctl.sessions.inventory import View

app = typer.Typer(help="The GPUs of this machine.", no_args_is_help=True)
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
ListenOption = Annotated[
    str, typer.Option("--listen", metavar="HOST:PORT", help="Where Prometheus finds it; port 0 takes a free one.")
]


@app.command("list")
def list_(runtime: RuntimeOption = None, json: Json = False) -> None:
    """Show every GPU with health, holders and allocations, and why it can or cannot be used."""
    from labctl.cli.context import context
    from labctl.cli.gpu_screen import show
    from labctl.sessions.inventory import look

    ctx = context()
    view = look(ctx, ctx.runtime(runtime or ctx.settings.runtime).gpus())
    if json:
        screen.answer_json(view.to_json())
        return
    show(view)
    screen.hint(*_next(view))


@app.command("watch")
def watch(
    runtime: RuntimeOption = None,
    interval: Annotated[str, typer.Option("--interval", "-n", metavar="2s", help="Time between two looks.")] = "2s",
) -> None:
    """The same with temperature, power and use, again and again, until Ctrl-C."""
    from labctl.cli.context import context
    from labctl.cli.gpu_screen import show
    from labctl.sessions.inventory import observed

    seconds = _interval_s(interval, "2s", least_s=0.2)
    ctx = context()
    engine = ctx.runtime(runtime or ctx.settings.runtime)

    def look() -> View:
        return observed(ctx, engine.gpus())

    if screen.in_colour(sys.stdout):
        from labctl.cli.gpu_watch import live

        live(look, seconds)
    while True:
        show(look())
        screen.line()
        sys.stdout.flush()
        time.sleep(seconds)


@app.command("export")
def export(
    runtime: RuntimeOption = None,
    listen: ListenOption = "127.0.0.1:9400",
    interval: Annotated[
        str, typer.Option("--interval", "-n", metavar="15s", help="So often the GPUs are looked at.")
    ] = "15s",
) -> None:
    """Serve everything about the GPUs to Prometheus: DCGM's names, and who holds what; until Ctrl-C."""
    from labctl.cli.context import context
    from labctl.sessions.export import serve

    ctx = context()
    place, seconds = _place(listen), _interval_s(interval, "15s", least_s=1.0)
    engine = ctx.runtime(runtime or ctx.settings.runtime)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # how a service manager ends it; in the midst of a look too
    serve(ctx, engine, place, seconds, announce=_announce, tell=screen.hint)


app.command("usage")(usage)


def _announce(url: str) -> None:
    screen.answer(url)
    sys.stdout.flush()


def _place(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise UsageError(
            f"--listen: {text!r} is not HOST:PORT", "for example --listen 127.0.0.1:9400, or 0.0.0.0:9400 for everybody"
        )
    return host, int(port)


def _interval_s(text: str, example: str, *, least_s: float) -> float:
    """A duration, or a bare number of seconds. Raises UsageError."""
    from labctl.units import parse_duration

    example = f"for example --interval {example}; the least is {least_s:g}s"
    try:
        seconds = parse_duration(f"{text}s" if _NUMBER.fullmatch(text) else text)
    except ValueError as error:
        raise UsageError(f"--interval: {error}", example) from error
    if seconds < least_s:
        raise UsageError(f"--interval: {text} is too short", example)
    return seconds


def _next(view: View) -> list[str]:
    without = "labs with a cpu profile run without a GPU: labctl up LAB --profile cpu"
    if not view.rows:
        return [without]
    if not any(row.gpu.health.ok for row in view.rows):
        return [without, "labctl doctor    what else this machine lacks"]
    if any(row.why_not is None for row in view.rows):
        take = "labctl up LAB --profile gpu    a lab on a GPU"
    else:
        take = "labctl up LAB --wait           stand in line for a GPU"
    return [take, "labctl gpu watch               the same, live"]
