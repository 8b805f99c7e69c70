"""Hosts × roles as cells, for the screen that moves and for the one that stays. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from labctl.cli.screen import ACCENT
from labctl.cli.table import GAP, Cell
from labctl.hosts.seen import FACTS, Host, Part, Seen, State
from labctl.reports.plain import one_line

STYLES = {
    State.WAITING: ("·", "dim"),
    State.RUNNING: ("…", ACCENT),
    State.OK: ("✓", "green"),
    State.CHANGED: ("+", ACCENT),
    State.SKIPPED: ("–", "dim"),
    State.FAILED: ("✗", "red"),
    State.UNREACHABLE: ("!", "red"),
}
_ROOM = 40
"""Columns that are left for what a host is doing."""


class Grid(NamedTuple):
    """A table; `legend` says what its columns are, where their names did not fit."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    legend: str = ""


def grid(seen: Seen, roles: Sequence[str], width: int, *, verb: str, most: int = 1000) -> Grid:
    """The table of the first `most` hosts, on `width` columns. `roles` are those that may come, in order."""
    shown = list(_columns(seen, roles))
    rows = [_row(seen, host, shown, verb) for host in list(seen.hosts.values())[:most]]
    needed = sum(
        max(len(name), *(len(row[at].text) for row in rows), 0) + GAP
        for at, name in enumerate(("HOST", *shown))
        if rows
    )
    if needed + (0 if seen.over else _ROOM) <= width:
        return Grid(("HOST", *shown, *_now(seen)), tuple(rows))
    marks = [tuple(_marked(cell) if 0 < at <= len(shown) else cell for at, cell in enumerate(row)) for row in rows]
    numbers = [str(number) for number in range(1, len(shown) + 1)]
    legend = "  ".join(f"{number} {name}" for number, name in zip(numbers, shown, strict=True))
    return Grid(("HOST", *numbers, *_now(seen)), tuple(marks), legend)


def words(part: Part, state: State, verb: str) -> str:
    """A cell: `changed 3`; while nothing is changed, `lacks 3`."""
    if state is State.CHANGED:
        return f"{'lacks' if verb == 'check' else 'changed'} {len(part.changes)}"
    return state.value


def _columns(seen: Seen, roles: Sequence[str]) -> Iterator[str]:
    """The roles in order; what else came up, first of all asking machines what they are, only where it says something."""
    others = [role for role in seen.roles if role not in roles]
    for role in sorted([*others, *roles], key=lambda role: role != FACTS):
        states = {seen.state(host, role) for host in seen.hosts}
        worth = {State.FAILED, State.UNREACHABLE, State.CHANGED} if role in others else set(State) - {State.WAITING}
        if states & worth or (not seen.over and role in roles) or states == {State.RUNNING}:
            yield role


def _row(seen: Seen, host: Host, roles: Sequence[str], verb: str) -> tuple[Cell, ...]:
    cells = [_cell(host, role, seen.state(host.name, role), verb) for role in roles]
    name = Cell(one_line(host.name), "bold")
    return (name, *cells) if seen.over else (name, *cells, Cell(doing(host), "dim"))


def _cell(host: Host, role: str, state: State, verb: str) -> Cell:
    mark, style = STYLES[state]
    return Cell(mark if state is State.WAITING else words(host.parts.get(role, Part()), state, verb), style)


def _marked(cell: Cell) -> Cell:
    """One letter in the place of words."""
    state = next((state for state in State if cell.text.startswith(state.value)), State.WAITING)
    state = State.CHANGED if cell.text.startswith("lacks") else state
    return Cell(*STYLES[state])


def doing(host: Host) -> str:
    """What a host is at: `docker: Install the engine (attempt 2 of 5)`."""
    if not host.task:
        return ""
    return one_line(f"{host.role}: {host.task}{f' ({host.note})' if host.note else ''}")


def _now(seen: Seen) -> tuple[str, ...]:
    return () if seen.over else ("NOW",)
