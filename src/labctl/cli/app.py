"""Every verb and where it lives. Modules named here import typer and the standard library; the rest is loaded when used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from labctl import __version__
from labctl.cli import author, doctor, end, gpu, inside, labs, render, status, up, verify

app = typer.Typer(
    name="labctl",
    help="Hands-on labs for LLM engineering: provision a lab, work in it, verify the outcome.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with `labctl list`, then `labctl up LAB`.",
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"labctl {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None: ...


_VERBS: dict[str, Callable[..., object]] = {
    "list": labs.list_,
    "show": labs.show,
    "up": up.up,
    "status": status.status,
    "verify": verify.verify,
    "logs": inside.logs,
    "exec": inside.exec_,
    "shell": inside.shell,
    "open": inside.open_,
    "reset": end.reset,
    "extend": end.extend,
    "down": end.down,
    "gc": end.gc,
    "render": render.render,
    "doctor": doctor.doctor,
}
_NOUNS = {"gpu": gpu.app, "lab": author.app}


def _settings(name: str) -> dict[str, object]:
    """Every flag has an environment name, LABCTL_<VERB>_<FLAG>; what follows a command to run is the command's."""
    prefix = f"LABCTL_{name.upper()}"
    return {
        "auto_envvar_prefix": prefix,
        "ignore_unknown_options": name == "exec",
        "help_option_names": ["-h", "--help"],
    }


for name, verb in _VERBS.items():
    app.command(name, context_settings=_settings(name))(verb)
for name, noun in _NOUNS.items():
    app.add_typer(noun, name=name, context_settings=_settings(name))
