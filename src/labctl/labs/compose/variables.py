"""Compose's `${VAR}`: a lab has no such variables, so each takes its default."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from labctl.labs.compose.notes import Notes, at, shown

SECRET = re.compile(r"(?i)PASSWORD|PASSWD|PASSPHRASE|TOKEN|SECRET|CREDENTIAL|(^|_)(KEY|PASS|PWD|DSN)(_|$)|API_?KEY")
"""Names whose values are not for every reader's eyes."""
MAX_NESTING = 10
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BODY = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-?+])(.*))?", re.DOTALL)


@dataclass(slots=True)
class _Use:
    place: str
    default: str | None
    count: int = 1


class Variables:
    """Expands texts and remembers which variables they used."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._uses: dict[str, _Use] = {}

    def expand(self, value: Any, place: str) -> Any:
        """`value` with every text in it expanded; keys stay as they are."""
        if isinstance(value, str):
            return self._text(value, place, 0)
        if isinstance(value, dict):
            return {key: self.expand(item, at(place, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.expand(item, at(place, index)) for index, item in enumerate(value)]
        return value

    def note(self) -> None:
        """One note a variable, at its first place."""
        for name, use in self._uses.items():
            more = f" (and {use.count - 1} more)" if use.count > 1 else ""
            if use.default is None:
                self._notes.add(use.place, f"${{{name}}} has no default{more}", "it is empty in the lab; fill it in")
            else:
                value = "" if SECRET.search(name) else f" {shown(use.default)}"
                self._notes.add(use.place, f"${{{name}}} became its default{value}{more}", "change it in the lab file")

    def _text(self, text: str, place: str, depth: int) -> str:
        parts, position = [], 0
        while (dollar := text.find("$", position)) >= 0:
            parts.append(text[position:dollar])
            part, position = self._variable(text, dollar, place, depth)
            parts.append(part)
        return "".join([*parts, text[position:]])

    def _variable(self, text: str, dollar: int, place: str, depth: int) -> tuple[str, int]:
        """What stands for the variable that begins at `dollar`, and where the text goes on."""
        after = text[dollar + 1 : dollar + 2]
        if after == "$":
            return "$", dollar + 2
        if name := _NAME.match(text, dollar + 1):
            return self._use(name[0], None, place), name.end()
        if after != "{":
            return "$", dollar + 1
        end = _closing(text, dollar + 2)
        body = _BODY.fullmatch(text, dollar + 2, end) if end is not None else None
        if end is None or body is None or depth == MAX_NESTING:
            self._notes.add(place, f"{shown(text[dollar:end])} is no variable", "it was kept as it is")
            return (text[dollar:], len(text)) if end is None else (text[dollar : end + 1], end + 1)
        if body[2] in ("-", ":-"):
            return self._use(body[1], self._text(body[3], place, depth + 1), place), end + 1
        return self._use(body[1], None, place), end + 1

    def _use(self, name: str, default: str | None, place: str) -> str:
        known = self._uses.get(name)
        if known is None:
            self._uses[name] = _Use(place, default)
        else:
            known.count += 1
            known.default = default if known.default is None else known.default
        return default or ""


def _closing(text: str, start: int) -> int | None:
    """Where the brace that was opened before `start` closes; None when it does not."""
    depth = 1
    for match in re.compile(r"\$\{|\}").finditer(text, start):
        depth += 1 if match[0] == "${" else -1
        if depth == 0:
            return match.start()
    return None
