"""What of a Compose file needs a person's eye, each with its place in that file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

MAX_SHOWN_CHARS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """`place` is a path in the Compose file, `what` was found there, `todo` is what to do about it (may be empty)."""

    place: str
    what: str
    todo: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.what}{f': {self.todo}' if self.todo else ''}"


class Notes:
    """Notes in the order in which they were made; the same one is kept once."""

    def __init__(self) -> None:
        self._notes: dict[Note, None] = {}

    def add(self, place: str, what: str, todo: str = "") -> None:
        self._notes[Note(place=place, what=what, todo=todo)] = None

    def __iter__(self) -> Iterator[Note]:
        return iter(self._notes)


def at(place: str, *parts: str | int) -> str:
    """The path of what lies below `place`.

    >>> at("services", "db", "volumes", 0)
    'services.db.volumes[0]'
    """
    for part in parts:
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else part
    return place


def shown(value: object) -> str:
    """`value` in quotes, on one line and short."""
    text = str(value)
    return repr(text if len(text) <= MAX_SHOWN_CHARS else f"{text[:MAX_SHOWN_CHARS]}…")
