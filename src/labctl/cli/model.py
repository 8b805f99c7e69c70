"""`model list` and `model pull`: the models of labs, and how they get onto this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from labctl.cli import screen
from labctl.cli.options import Json, ProfileOption, labs
from labctl.cli.steps import Steps
from labctl.cli.table import Cell

app = typer.Typer(help="The models of labs: list, pull.", no_args_is_help=True)


@app.command("list")
def list_(profile: ProfileOption = None, json: Json = False) -> None:
    """Show the models that labs need, and which of them this machine has."""
    from labctl import settings
    from labctl.hosts.bundle.models import needed_by
    from labctl.labs import catalog

    chosen = settings.load()
    size = profile or chosen.profile or "cpu"
    rows = needed_by([row.id for row in catalog.summaries(chosen.labs) if not row.problem], size, chosen)
    if json:
        models = [{**row.model_dump(), "labs": of, "present": here} for row, of, here in rows]
        screen.answer_json({"profile": size, "models": models})
        return
    cells = [(Cell(row.name, "bold"), row.kind, _here(here), Cell(", ".join(of), "dim")) for row, of, here in rows]
    screen.table(("MODEL", "KIND", "HERE", "LABS"), cells)
    screen.hint("labctl model pull LAB…    bring what labs need")


@app.command("pull")
def pull(
    lab: Annotated[list[str], typer.Argument(metavar="LAB…", help="Labs, by id or folder.", autocompletion=labs)],
    profile: ProfileOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is missing, and bring nothing.")] = False,
    json: Json = False,
) -> None:
    """Bring every model that labs need, built or downloaded: before a class, or before the network goes."""
    from labctl import settings
    from labctl.hosts.bundle.models import ensure, needed
    from labctl.hosts.bundle.plans import plans
    from labctl.hosts.hub import fetch

    chosen = settings.load()
    wanted = plans(lab, profile, chosen)
    missing = {model.folder for model in needed(wanted, chosen) if not model.is_here}
    with Steps(quiet=json) as steps:
        found = needed(wanted, chosen) if dry_run else ensure(wanted, chosen, steps, fetch=fetch)
    states = [(model, _state(dry_run=dry_run, was_missing=model.folder in missing)) for model in found]
    if json:
        items = [{"kind": "model", "name": model.entry.name, "state": state} for model, state in states]
        screen.answer_json({"changed": bool(missing), "items": items})
        return
    rows = [
        (Cell(model.entry.name, "bold"), model.entry.kind, state, Cell(str(model.folder), "dim"))
        for model, state in states
    ]
    screen.table(("MODEL", "KIND", "STATE", "WHERE"), rows)
    screen.hint("labctl up LAB    start a lab", "labctl bundle LAB    carry it all to a machine without a network")


def _state(*, dry_run: bool, was_missing: bool) -> str:
    if not was_missing:
        return "unchanged"
    return "missing" if dry_run else "loaded"


def _here(here: bool) -> Cell:
    return Cell("✓", "green") if here else Cell("–", "dim")
