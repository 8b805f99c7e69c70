"""Compose's `environment`, map or list, as ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from labctl.labs.compose.notes import Notes, at, shown
from labctl.labs.compose.texts import Texts
from labctl.labs.compose.variables import SECRET

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ALLOCATED = ("NVIDIA_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES")


def environment(value: Any, place: str, texts: Texts, notes: Notes) -> dict[str, str]:
    """Names and texts; what is no variable, or is labctl's to set, is noted."""
    found: dict[str, str] = {}
    for name, text, where in _pairs(value, place, notes):
        if not _NAME.fullmatch(name):
            notes.add(where, f"{shown(name)} is no name of a variable in a lab", "pass it as an argument, or in a file")
        elif name in _ALLOCATED:
            notes.add(where, "is not carried over", "labctl gives a session its GPUs and sets this")
        elif text is None:
            notes.add(where, "takes its value from the host in Compose", "it is empty in the lab; fill it in")
            found[name] = ""
        else:
            if SECRET.search(name) and text:
                notes.add(
                    where,
                    "looks like a secret that every reader of the lab file can see",
                    f"write {{{{ secret('{_secret_name(name)}') }}}} to have one made for each session",
                )
            found[name] = texts.convert(text, where, before=f"{name}=")
    return found


def _pairs(value: Any, place: str, notes: Notes) -> Iterator[tuple[str, str | None, str]]:
    """(name, text or None for the host's, place)"""
    if isinstance(value, dict):
        for name, text in value.items():
            yield name, _text(text), at(place, name)
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            name, equals, text = str(entry).partition("=")
            yield name, text if equals else None, at(place, index)
    elif value not in (None, ""):
        notes.add(place, "is neither a mapping nor a list", "it is not carried over")


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def _secret_name(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
