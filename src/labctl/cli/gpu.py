"""`gpu list` and `gpu watch`: what GPUs there are, who holds them, and why they can or cannot be used."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labctl.cli import screen
from labctl.cli.options import Json, RuntimeOption
from labctl.cli.table import Cell

if TYPE_CHECKING:
    from labctl.gpus.inventory import Gpu, Inventory
    from labctl.sessions.context import Context

app = typer.Typer(help="The GPUs of this machine.", no_args_is_help=True)


@app.command("list")
def list_(runtime: RuntimeOption = None, json: Json = False) -> None:
    """Show every GPU with health, holders and allocations, and why it can or cannot be used."""
    from labctl.cli.context import context

    ctx = context()
    inventory = ctx.runtime(runtime or ctx.settings.runtime).gpus()
    if json:
        screen.answer_json(_json(ctx, inventory))
        return
    _print(ctx, inventory)
    if not inventory.gpus:
        screen.hint("labs with a cpu profile run without a GPU: labctl up LAB --profile cpu")


@app.command("watch")
def watch(
    runtime: RuntimeOption = None,
    interval: Annotated[float, typer.Option("--interval", "-n", min=0.2, help="Seconds between two looks.")] = 2.0,
) -> None:
    """The same, again and again, until Ctrl-C."""
    from labctl.cli.context import context

    ctx = context()
    engine = ctx.runtime(runtime or ctx.settings.runtime)
    while True:
        inventory = engine.gpus()
        if sys.stdout.isatty():
            sys.stdout.write("\x1b[H\x1b[2J")
        _print(ctx, inventory)
        time.sleep(interval)


def _json(ctx: Context, inventory: Inventory) -> dict[str, Any]:
    holders = _holders(ctx)
    rows = []
    for gpu in inventory.gpus:
        why = _why_not(gpu, holders)
        values = asdict(gpu) | {"allocations": holders.get(gpu.uuid, []), "usable": why is None, "why_not": why}
        rows.append(values)
    head = {"driver": inventory.driver, "cuda": inventory.cuda, "source": inventory.source}
    return {**head, "problem": inventory.problem, "gpus": rows}


def _print(ctx: Context, inventory: Inventory) -> None:
    holders = _holders(ctx)
    if not inventory.gpus:
        screen.line(inventory.problem or f"{inventory.source} knows no GPU")
        return
    made_by = f"driver {inventory.driver or 'unknown'} · CUDA {inventory.cuda or 'unknown'} · {inventory.source}"
    screen.line(Cell(made_by, "dim"))
    rows = [_row(gpu, holders) for gpu in inventory.gpus]
    screen.table(("GPU", "NAME", "UUID", "FREE", "OF", "CC", "HELD BY", "USABLE"), rows, right=("FREE", "OF"))


def _row(gpu: Gpu, holders: dict[str, list[str]]) -> tuple[Cell | str, ...]:
    from labctl.units import format_mib

    why = _why_not(gpu, holders)
    foreign = [f"{process.name or 'process'} ({process.owner or 'owner unknown'})" for process in gpu.processes]
    return (
        str(gpu.index),
        Cell(gpu.name, "bold"),
        Cell(gpu.uuid, "dim"),
        format_mib(gpu.memory_free_mib) if gpu.memory_free_mib is not None else "?",
        format_mib(gpu.memory_total_mib) if gpu.memory_total_mib is not None else "?",
        gpu.compute_capability or "?",
        Cell(", ".join(holders.get(gpu.uuid, []) or foreign) or "–"),
        Cell("yes" if why is None else why, "green" if why is None else "yellow"),
    )


def _holders(ctx: Context) -> dict[str, list[str]]:
    held: dict[str, list[str]] = {}
    for session in ctx.store.sessions(live=True):
        for gpu in session.gpus:
            held.setdefault(str(gpu["uuid"]), []).append(session.id)
    return held


def _why_not(gpu: Gpu, holders: dict[str, list[str]]) -> str | None:
    from labctl.gpus.fit import Need, unfit

    return unfit(gpu, Need(sharing="any"), holders)
