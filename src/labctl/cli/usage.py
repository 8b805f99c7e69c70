"""`gpu usage`: what GPUs were used for, and what that cost."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labctl.cli import screen
from labctl.cli.options import Json
from labctl.cli.table import Cell
from labctl.errors import UsageError

if TYPE_CHECKING:
    from labctl.sessions.usage import By, Usage
    from labctl.settings import Price

_SINCE = "for example --since 7d, or a date: --since 2026-11-01"


def usage(
    by: Annotated[
        str, typer.Option("--by", metavar="learner|lab|gpu|session", help="A line for each of them.")
    ] = "learner",
    since: Annotated[
        str | None, typer.Option("--since", metavar="7d", help="Only the time since then; or since a date.")
    ] = None,
    json: Json = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", envvar="LABCTL_GPU_USAGE_CSV", help="Answer in CSV, for a spreadsheet.")
    ] = False,
) -> None:
    """Show the GPU hours that were held, by whom, how well they were used, and what they cost."""
    from labctl.cli.context import context
    from labctl.sessions.usage import total
    from labctl.sessions.usage import usage as add_up

    if json and as_csv:
        raise UsageError("--json and --csv exclude each other", "leave one of them out")
    key = _by(by)
    ctx = context()
    begin = _since(since, ctx.now())
    rows = add_up(ctx.store.held(released=True), key, ctx.now(), since=begin)
    price = ctx.settings.gpu_hour_price
    if json:
        screen.answer_json(_json(key, begin, price, rows, total(rows)))
    elif as_csv:
        screen.answer(_csv(key, price, rows))
    elif not rows:
        screen.line(Cell("no session has held a GPU" + (" since then" if begin else ""), "dim"))
        screen.hint("labctl gpu list    the GPUs there are")
    else:
        _print(key, price, rows, total(rows))


def _by(text: str) -> By:
    from labctl.sessions.usage import KEYS

    for key in KEYS:
        if key == text:
            return key
    raise UsageError(f"--by: {text!r} is none of them", f"use one of: {', '.join(KEYS)}")


def _since(text: str | None, now: datetime) -> datetime | None:
    """A point in time; a date without a time zone is UTC."""
    from labctl.units import parse_duration

    if text is None:
        return None
    try:
        return now - timedelta(seconds=parse_duration(text))
    except ValueError as no_duration:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise UsageError(f"--since: {no_duration}; nor is it a date", _SINCE) from no_duration
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _values(row: Usage, price: Price | None) -> dict[str, Any]:
    """A row as plain numbers; None is unknown."""
    percent, cost = row.utilization_percent, row.cost(price)
    return {
        "gpu_hours": round(row.held_s / 3600, 4),
        "share_hours": round(row.shared_s / 3600, 4),
        "peak_memory_mib": row.peak_memory_mib,
        "utilization_percent": round(percent, 1) if percent is not None else None,
        "allocations": row.allocations,
        "open": row.open,
        "cost": round(cost, 4) if cost is not None else None,
    }


def _json(by: By, since: datetime | None, price: Price | None, rows: list[Usage], all: Usage) -> dict[str, Any]:
    from labctl.store.records import iso

    return {
        "by": by,
        "since": iso(since) if since else None,
        "price": {"amount": price.amount, "currency": price.currency} if price else None,
        "rows": [{by: row.key, **_values(row, price)} for row in rows],
        "total": _values(all, price),
    }


def _csv(by: By, price: Price | None, rows: list[Usage]) -> str:
    """A header and a line for each; what is unknown is empty. No total: spreadsheets add up themselves."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    values = [{by: row.key, **_values(row, price), "currency": price.currency if price else None} for row in rows]
    names = ["gpu_hours", "share_hours", "peak_memory_mib", "utilization_percent", "allocations", "open", "cost"]
    writer.writerow([by, *names, "currency"])
    writer.writerows([each.values() for each in values])
    return text.getvalue()


def _print(by: By, price: Price | None, rows: list[Usage], all: Usage) -> None:
    cost = [f"COST{' ' + price.currency if price.currency else ''}"] if price else []
    columns = (by.upper(), "GPU HOURS", "BY SHARE", "PEAK MEMORY", "IN USE", "TIMES", *cost)
    lines = [_line(row, price, Cell(row.key, "bold")) for row in rows]
    if len(rows) > 1:
        lines.append(_line(all, price, Cell("all", "dim")))
    screen.table(columns, lines, right=columns[1:])
    if all.open:
        screen.hint("+ is held still and counts until now")
    if price is None:
        screen.hint('what it cost: set the price of an hour, LABCTL_GPU_HOUR_PRICE="2.50 EUR"')


def _line(row: Usage, price: Price | None, name: Cell) -> tuple[Cell | str, ...]:
    from labctl.units import format_mib

    percent, cost = row.utilization_percent, row.cost(price)
    return (
        name,
        f"{row.held_s / 3600:.2f}{'+' if row.open else ''}",
        f"{row.shared_s / 3600:.2f}",
        format_mib(row.peak_memory_mib) if row.peak_memory_mib is not None else "?",
        f"{percent:.0f} %" if percent is not None else "?",
        str(row.allocations),
        *([f"{cost:.2f}"] if cost is not None else []),
    )
