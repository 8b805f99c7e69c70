"""A run while it goes on: on a terminal a table of hosts and roles that moves, elsewhere a line when a role is over on a host."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from labctl.cli import screen
from labctl.cli.host_grid import STYLES, grid, words
from labctl.cli.moving import Moving
from labctl.cli.table import Cell
from labctl.hosts.events import Event, after, line_of
from labctl.hosts.seen import FACTS, Part, Seen, State, Trouble
from labctl.reports.plain import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

MAX_ROWS = 25
_OVER = (State.OK, State.CHANGED, State.SKIPPED)


class Watch:
    """`event` takes each event, from any thread; `seen` is what they come to. With `json` each that says something is a line on
    stdout. `roles` are the playbook's, of which only those `wanted` may come, where any are named; `verb` is what is done to the hosts."""

    def __init__(self, roles: Sequence[str], wanted: Sequence[str], verb: str, *, json: bool) -> None:
        self.seen = Seen(known=tuple(roles))
        self._roles, self._verb, self._json = wanted or roles, verb, json
        self._asked = 0
        self._told: set[tuple[str, str, State]] = set()
        self._lock = threading.Lock()
        self._moving: Moving | None = None

    def __enter__(self) -> Watch:
        if not self._json and screen.in_colour(sys.stderr):
            self._moving = Moving(self)
            self._moving.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._moving is not None:
            self._moving.stop()

    def event(self, event: Event) -> None:
        with self._lock:
            before, self.seen = self.seen, after(self.seen, event)
            if self._json:
                self._write(event)
            elif self.seen is not before:
                self._tell(before)

    def interrupted(self, count: int) -> None:
        """Ctrl-C came for the `count`th time."""
        with self._lock:
            self._asked = count
            said = "ending after the tasks under way; Ctrl-C again ends them too" if count == 1 else "ending at once"
            self._line(Cell("!", "yellow"), Cell(said))

    def _write(self, event: Event) -> None:
        line = line_of(event)
        if line:
            screen.answer(json.dumps(line))
            sys.stdout.flush()

    def _tell(self, before: Seen) -> None:
        for trouble in _causes(self.seen):
            if trouble not in _causes(before):
                self._line(*_of_trouble(trouble))
        if self._moving is None:
            for host, role, state in _ended(before, self.seen):
                if role not in self._roles or (host, role, state) in self._told:
                    continue  # handlers of a role come after all roles
                self._told.add((host, role, state))
                mark, style = STYLES[state]
                part = self.seen.hosts[host].parts.get(role, Part())
                said = Cell(words(part, state, self._verb), "" if state is State.CHANGED else "dim")
                self._line(Cell(mark, style), Cell(host, "bold"), Cell(role), said)

    def _line(self, *cells: Cell) -> None:
        if self._json:
            return
        if self._moving is not None:
            self._moving.stop()
        sys.stderr.write(" ".join(screen.paint(one_line(cell.text), cell.style, sys.stderr) for cell in cells) + "\n")
        if self._moving is not None:
            self._moving.start()

    def __rich__(self) -> RenderableType:
        """The table of this moment; asked with every turn of the spinner."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        seen = self.seen
        width = self._moving.width if self._moving else 100
        cells = grid(seen, self._roles, width, verb=self._verb, most=MAX_ROWS)
        table = Table(box=None, padding=(0, 2, 0, 0), header_style=f"bold {screen.ACCENT}")
        for name in cells.columns:
            table.add_column(name, no_wrap=True, overflow="ellipsis", ratio=1 if name == "NOW" else None)
        for row in cells.rows:
            table.add_row(*(Text(cell.text, style=cell.style) for cell in row))
        return Group(Text(self._title(seen), "bold"), *([table] if cells.rows else []), Text(cells.legend, "dim"))

    def _title(self, seen: Seen) -> str:
        if self._asked:
            return "ending after the tasks under way" if self._asked == 1 else "ending"
        doing = "looking at" if self._verb == "check" else "preparing"
        if not seen.hosts:
            return f"{doing} hosts: starting Ansible"
        more = f", {len(seen.hosts) - MAX_ROWS} of them not shown" if len(seen.hosts) > MAX_ROWS else ""
        return f"{doing} {len(seen.hosts)} host{'s' if len(seen.hosts) > 1 else ''}{more}"


def _causes(seen: Seen) -> tuple[Trouble, ...]:
    """The first failure of each role; what its rescue says of it comes at the end."""
    return tuple(part.troubles[0] for host in seen.hosts.values() for part in host.parts.values() if part.troubles)


def _of_trouble(trouble: Trouble) -> tuple[Cell, ...]:
    mark, style = STYLES[State.UNREACHABLE if trouble.unreachable else State.FAILED]
    where = "not reachable" if trouble.unreachable else f"{trouble.role}: {trouble.task}"
    return Cell(mark, style), Cell(trouble.host, "bold"), Cell(where), Cell(trouble.message.partition("\n")[0], style)


def _ended(before: Seen, now: Seen) -> Iterator[tuple[str, str, State]]:
    """The roles that are over since, on which host and how; what a machine is asked about itself is not told."""
    for name, host in now.hosts.items():
        if host is before.hosts.get(name) and now.over == before.over:
            continue
        for role in host.parts:
            was = before.state(name, role) if name in before.hosts else State.WAITING
            state = now.state(name, role)
            if role != FACTS and state in _OVER and was not in _OVER:
                yield name, role, state
