"""Every verb and noun, what it is for, and where it lives. A module is loaded when its verb is typed, not before."""

from __future__ import annotations

import difflib
import importlib
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from labctl import __version__
from labctl.errors import UsageError

VERBS = {
    "list": ("labctl.cli.labs:list_", "Show the labs: stage, time, needs and how far you are."),
    "show": ("labctl.cli.labs:show", "Show a lab: objectives, services, needs, criteria, instructions."),
    "up": ("labctl.cli.up:up", "Start a lab, or mend a drifted or half-dead session of it."),
    "status": ("labctl.cli.status:status", "Show sessions: services with state and reason, GPU, expiry."),
    "verify": ("labctl.cli.verify:verify", "Judge a session by the lab's criteria."),
    "logs": ("labctl.cli.inside:logs", "Show a service's log."),
    "exec": ("labctl.cli.inside:exec_", "Run a command with the lab's environment."),
    "run": ("labctl.cli.run:run", "Borrow a GPU for one command, and give it back."),
    "shell": ("labctl.cli.inside:shell", "Open a shell with the lab's environment."),
    "open": ("labctl.cli.inside:open_", "Open a service in the browser."),
    "cp": ("labctl.cli.copy:cp", "Copy a file or a folder out of a workspace, or into it."),
    "reset": ("labctl.cli.end:reset", "Put the starter's files back; a dated copy of your work is kept."),
    "extend": ("labctl.cli.end:extend", "Give a session more time."),
    "down": ("labctl.cli.end:down", "End a session; your files stay."),
    "gc": ("labctl.cli.end:gc", "End what has expired, remove what no session owns, take idle GPUs back."),
    "render": ("labctl.cli.render:render", "Write what would run as a plain file; starts nothing."),
    "bundle": (
        "labctl.cli.bundle:bundle",
        "Write labctl, images and models into one file, for machines without a network.",
    ),
    "unbundle": (
        "labctl.cli.bundle:unbundle",
        "Load what a bundle holds and this machine lacks. Every sum is checked before.",
    ),
    "doctor": ("labctl.cli.doctor:doctor", "Check this machine, and show each setting with its origin."),
}
FOR_CLUSTERS = {
    "reap": ("labctl.cli.reap:reap", "End what has expired in a cluster, from inside it."),
}
"""Verbs that people do not type: what k8s/ runs."""
NOUNS = {
    "gpu": ("labctl.cli.gpu:app", "The GPUs of this machine: list, watch, usage, export."),
    "image": ("labctl.cli.images:app", "The container images of labs: list, build, pull."),
    "model": ("labctl.cli.model:app", "The models of labs: list, pull."),
    "cohort": ("labctl.cli.cohort:app", "A class on one command: plan, up, status, verify, export, extend, down."),
    "hub": ("labctl.cli.hub:app", "The portal of a class, which is JupyterHub: serve, invite."),
    "host": ("labctl.cli.host:app", "Machines that Ansible makes ready for labs: check, prepare."),
    "lab": ("labctl.cli.author:app", "Write, check and prove labs: new, validate, test, solve, schema."),
}
_TYPER: dict[str, Any] = {"add_completion": False, "rich_markup_mode": None, "pretty_exceptions_enable": False}


class Verbs(TyperGroup):
    """The command group over the two tables."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*VERBS, *NOUNS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in (*VERBS, *FOR_CLUSTERS):
            return _verb(cmd_name)
        return _noun(cmd_name) if cmd_name in NOUNS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] not in (*VERBS, *FOR_CLUSTERS, *NOUNS):
            near = difflib.get_close_matches(args[0], [*VERBS, *NOUNS], n=1)
            guess = f"did you mean `labctl {near[0]}`? " if near else ""
            raise UsageError(f"no command {args[0]!r}", f"{guess}`labctl --help` shows them all")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for title, table in (("Commands", VERBS), ("For GPUs, images, classes, hosts and authors", NOUNS)):
            with formatter.section(title):
                formatter.write_dl([(name, help) for name, (_, help) in table.items()])


def _verb(name: str) -> Any:
    single = typer.Typer(**_TYPER)
    single.command(name, context_settings=_settings(name))(_load({**VERBS, **FOR_CLUSTERS}[name][0]))
    return typer.main.get_command(single)


def _noun(name: str) -> Any:
    group = typer.Typer(**_TYPER, context_settings=_settings(name), help=NOUNS[name][1], no_args_is_help=True)
    group.add_typer(_load(NOUNS[name][0]))
    return typer.main.get_command(group)


def _load(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _settings(name: str) -> dict[str, Any]:
    """Every flag has an environment name, LABCTL_<VERB>_<FLAG>; what follows a command to run is the command's."""
    prefix = f"LABCTL_{name.upper()}"
    own: dict[str, Any] = {"allow_interspersed_args": False} if name == "run" else {}  # a group's must stay its own
    return {
        "auto_envvar_prefix": prefix,
        "ignore_unknown_options": name in ("exec", "run"),
        "help_option_names": ["-h", "--help"],
        **own,
    }


app = typer.Typer(
    name="labctl",
    cls=Verbs,
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
