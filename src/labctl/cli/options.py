"""Arguments and options that several verbs share, so that they read and complete the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def labs(incomplete: str) -> list[str]:
    """Ids of labs, for completion."""
    from labctl import settings
    from labctl.labs import catalog

    return [row.id for row in catalog.summaries(settings.load().labs) if row.id.startswith(incomplete)]


def _sessions(incomplete: str) -> list[str]:
    from labctl import settings
    from labctl.store.store import Store

    names = {name for session in Store(settings.load()).sessions(live=True) for name in (session.lab, session.id)}
    return sorted(name for name in names if name.startswith(incomplete))


def services(ctx: typer.Context, incomplete: str) -> list[str]:
    """Services of the lab already typed, for completion."""
    return [name for name in _of_lab(ctx, "services") if name.startswith(incomplete)]


def criteria(ctx: typer.Context, incomplete: str) -> list[str]:
    """Criteria of the lab already typed, for completion."""
    return [name for name in _of_lab(ctx, "criteria") if name.startswith(incomplete)]


def _of_lab(ctx: typer.Context, what: str) -> list[str]:
    from labctl import settings
    from labctl.labs import catalog
    from labctl.labs.source import read_source

    typed = ctx.params.get("lab") or next(
        iter(ctx.args), ""
    )  # while an option waits for its value, it is still in args
    lab = str(typed).partition("--")[0]
    if not lab:
        return []
    found = read_source(catalog.find(lab, settings.load().labs) / catalog.LAB_FILE).data.get(what) or []
    return [item["id"] for item in found] if isinstance(found, list) else list(found)


def lifetime_s(text: str, flag: str, example: str) -> float:
    """Seconds that a session is given. `flag` says in the error what was typed. Raises UsageError."""
    from labctl.errors import UsageError
    from labctl.units import parse_duration

    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{flag}{error}", example) from error
    if not 60 <= seconds <= 30 * 86400:
        raise UsageError(f"{flag}{text} is not between 1m and 30d", example)
    return seconds


def words_to_run(typed: list[str], verb: str, lab: str) -> list[str]:
    """The command of `verb`, which begins after LAB, or after `--`. Raises UsageError when there is none."""
    from labctl.errors import UsageError

    words = typed[1:] if typed[0] == "--" else typed
    if not words:
        raise UsageError(f"there is no command to {verb}", f"labctl {verb} {lab} -- CMD")
    if typed[0].startswith("-") and typed[0] != "--":
        what = f"{typed[0]!r} is no command; options of `labctl {verb}` come before LAB"
        raise UsageError(what, f"labctl {verb} [OPTIONS] {lab} -- CMD; `labctl {verb} --help` shows them")
    return words


LabArgument = Annotated[
    str, typer.Argument(metavar="LAB", help="A lab's id, or a folder with a slash in it.", autocompletion=labs)
]
SessionArgument = Annotated[
    str, typer.Argument(metavar="LAB", help="The lab, or the id of a session of it.", autocompletion=_sessions)
]
OptionalSession = Annotated[
    str | None,
    typer.Argument(
        metavar="[LAB]",
        help="The lab; else the session of the current folder, else the only one.",
        autocompletion=_sessions,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Answer with the id only.")]
RuntimeOption = Annotated[
    str | None, typer.Option("--runtime", "-r", metavar="local|docker|kubernetes", help="Where it runs.")
]
ProfileOption = Annotated[
    str | None, typer.Option("--profile", "-p", metavar="cpu|gpu", help="Which size; gpu when one fits.")
]
LearnerOption = Annotated[str | None, typer.Option("--learner", metavar="NAME", help="For whom; you when left out.")]
WorkspaceOption = Annotated[
    Path | None, typer.Option("--workspace", metavar="DIR", help="Where the learner's files are.")
]
