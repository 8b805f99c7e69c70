"""Compose's `entrypoint` and `command` as one list of words."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from labctl.labs.compose.notes import Notes, at, shown


def command(service: Mapping[str, Any], place: str, notes: Notes) -> list[str]:
    """What the lab's service runs; empty for the image's own command."""
    entrypoint = _words(service.get("entrypoint"), at(place, "entrypoint"), notes)
    words = _words(service.get("command"), at(place, "command"), notes)
    if entrypoint:
        notes.add(
            at(place, "entrypoint"),
            f"{shown(' '.join(entrypoint))} became the beginning of command",
            "if the image has an ENTRYPOINT of its own, that one runs it: check that it hands on its arguments",
        )
    return [*entrypoint, *words]


def _words(value: Any, place: str, notes: Notes) -> list[str]:
    if isinstance(value, dict):
        notes.add(place, "a mapping is no command", "it is not carried over")
        return []
    if isinstance(value, list):
        return [_word(word) for word in value]
    try:
        return shlex.split(_word(value))
    except ValueError as error:
        notes.add(place, f"{shown(value)} cannot be split into words ({error})", "it was split at its blanks")
        return str(value).split()


def _word(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
