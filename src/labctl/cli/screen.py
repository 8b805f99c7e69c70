"""How labctl looks: stdout carries the answer, stderr the chatter, colour only on a terminal, one accent."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from labctl.runtimes.base import Step

ACCENT = "cyan"
STATE_STYLES = {
    "running": "green",
    "exited": "green",
    "RUNNING": "green",
    "starting": "yellow",
    "STARTING": "yellow",
    "STOPPING": "yellow",
    "failed": "red",
    "unhealthy": "red",
    "FAILED": "red",
    "stopped": "dim",
    "STOPPED": "dim",
}
_MARKS = {"done": ("✓", "green"), "unchanged": ("·", "dim"), "failed": ("✗", "red")}


def out() -> Console:
    """The console of the answer."""
    return _console(stderr=False)


def chatter() -> Console:
    """The console of progress and hints."""
    return _console(stderr=True)


def answer_json(value: Any) -> None:
    """One JSON document on stdout, safe to look at on a terminal whatever words are in it."""
    from labctl.reports.json_text import dump

    sys.stdout.write(dump(value) + "\n")


def answer(text: str) -> None:
    """Plain text on stdout."""
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")


def hint(*lines: str) -> None:
    """Next steps, on stderr."""
    console = chatter()
    for line in lines:
        console.print(f"[{ACCENT}]→[/] {line}", highlight=False)


def table(columns: Sequence[str], rows: Iterable[Sequence[RenderableType]], *, right: Sequence[str] = ()) -> Table:
    """An aligned table without lines: headings in the accent, columns of `right` set to the right."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style=f"bold {ACCENT}", show_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def text(value: str, style: str = "") -> RenderableType:
    """Words that come from a lab, a learner or an engine: never read as markup, no control characters."""
    from rich.text import Text

    return Text(
        "".join(char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in value), style
    )


def state(value: str) -> RenderableType:
    """A state in its colour."""
    return text(value, STATE_STYLES.get(value, ""))


class Steps:
    """Progress of `up` and `down`: a line a step. On a terminal it is live, elsewhere each line is written once it is true."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self._console = chatter()
        self._begun: dict[str, float] = {}
        self._details: dict[str, str] = {}
        self._status: Any = None

    def __enter__(self) -> Steps:
        if not self.quiet and self._console.is_terminal:
            self._status = self._console.status("", spinner="dots", spinner_style=ACCENT)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def __call__(self, step: Step) -> None:
        if self.quiet:
            return
        if step.state in ("started", "progress"):
            if step.name not in self._begun:
                self._begun[step.name] = time.monotonic()
                if self._status is None:
                    self._line("…", "", step.name, step.detail)
            self._details[step.name] = step.detail
        else:
            self._finished(step)
        self._refresh()

    def _finished(self, step: Step) -> None:
        begun = self._begun.pop(step.name, None)
        self._details.pop(step.name, None)
        took = f"{time.monotonic() - begun:.1f}s" if begun is not None else ""
        mark, style = _MARKS[step.state]
        self._line(mark, style, step.name, "  ".join(part for part in (step.detail, took) if part))

    def _line(self, mark: str, style: str, name: str, detail: str) -> None:
        from rich.text import Text

        line = Text.assemble(
            (mark, style), " ", (name, "bold" if style != "dim" else "dim"), "  ", (_one_line(detail), "dim")
        )
        self._console.print(line, soft_wrap=self._status is None)

    def _refresh(self) -> None:
        if self._status is None:
            return
        if not self._begun:
            self._status.stop()
            return
        from rich.text import Text

        width = max(20, self._console.width - 6)
        parts = [f"{name}  {_one_line(self._details.get(name, ''))}".rstrip() for name in self._begun]
        self._status.update(Text("\n  ".join(part[:width] for part in parts)))
        self._status.start()


def _one_line(detail: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in detail).split())


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    plain = bool(os.environ.get("NO_COLOR"))
    live = stream.isatty() and not os.environ.get("CI")
    width = None if stream.isatty() else int(os.environ.get("COLUMNS") or 100)
    return Console(stderr=stderr, no_color=plain, force_terminal=live, highlight=False, width=width, soft_wrap=False)
