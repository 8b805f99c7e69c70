"""Compose's texts as texts of a lab file: hosts under their new names, URLs of services as `url(…)`, the rest literal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from labctl.errors import LabFileError
from labctl.labs.compose.notes import Notes, shown
from labctl.labs.templates import MAX_TEMPLATE_CHARS

_MARKS = ("{{", "{%", "{#")
_HOST_BEFORE = re.compile(r"(?i)(://|@|(host|hostname|server|addr|address|endpoint|-h)[\w-]*[= ])\Z")
_PORT = re.compile(r":([0-9]{1,5})(?![0-9])")
Piece = tuple[bool, str]
"""(whether it is an expression, its text)"""


class Texts:
    """`hosts` maps every name of a service to its id, `ports` (id, number) to the port's name."""

    def __init__(self, hosts: Mapping[str, str], ports: Mapping[tuple[str, int], str], notes: Notes) -> None:
        self._hosts = hosts
        self._ports = ports
        self._notes = notes

    def convert(self, text: str, place: str, *, before: str = "") -> str:
        """`text` as a template that renders to it; `before` is what stands before it, such as `DB_HOST=`."""
        result = as_template(self._pieces(text, place, before))
        if len(result) > MAX_TEMPLATE_CHARS and any(mark in result for mark in _MARKS):
            raise LabFileError(
                f"{place}: a text of {len(text)} characters with braces cannot stand in a lab file",
                "move it into a file of the image",
            )
        return result

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        names = sorted(self._hosts, key=len, reverse=True)
        return re.compile(rf"(?<![\w.-])({'|'.join(map(re.escape, names))})(?![\w.-])")

    def _pieces(self, text: str, place: str, before: str) -> list[Piece]:
        pieces: list[Piece] = []
        position = 0
        for match in self._pattern.finditer(text):
            id, port = self._hosts[match[1]], _PORT.match(text, match.end())
            head = (before + text[max(0, match.start() - 40) : match.start()])[-60:]
            name = self._ports.get((id, int(port[1]))) if port else None
            if port and name and text.endswith("http://", position, match.start()):
                pieces += [(False, text[position : match.start() - 7]), (True, f"url('{id}', '{name}')")]
                position = port.end()
            elif id != match[1] and (port or text[match.end() : match.end() + 1] == "@" or _HOST_BEFORE.search(head)):
                pieces += [(False, text[position : match.start()] + id)]
                position = match.end()
                self._notes.add(place, f"the host {shown(match[1])} is {id} in the lab", "it was changed here")
            elif id != match[1] and text == match[1]:
                self._notes.add(place, f"the service {shown(text)} is {id} in the lab", "change it here if it is meant")
        return [*pieces, (False, text[position:])]


def as_template(pieces: Sequence[Piece]) -> str:
    """A text of a lab file that renders to the pieces' texts, and to the values of their expressions.

    >>> as_template([(False, "{{ $labels }}"), (True, "1")]), as_template([(False, "{a}")])
    ("{{ '{' }}{ $labels }}{{ 1 }}", '{a}')
    """
    pieces = list(_joined(pieces))
    if not any(is_expression or any(mark in text for mark in _MARKS) for is_expression, text in pieces):
        return "".join(text for _, text in pieces)
    result = "".join(
        f"{{{{ {text} }}}}" if is_expression else _literal(text, expression_follows=number + 1 < len(pieces))
        for number, (is_expression, text) in enumerate(pieces)
    )
    return f"{result}{{{{ '' }}}}" if result.endswith("\n") else result  # Jinja2 drops a last newline


def _joined(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """Neighbouring texts as one, so that `{` and `%` are seen together; empty ones left out."""
    text = ""
    for is_expression, piece in pieces:
        if not is_expression:
            text += piece
            continue
        if text:
            yield False, text
        yield True, piece
        text = ""
    if text:
        yield False, text


def _literal(text: str, *, expression_follows: bool) -> str:
    ending = r"|\{\Z" if expression_follows else ""
    text = re.sub(rf"\{{(?=[{{%#\r]){ending}", "{{ '{' }}", text)
    return text.replace("\r", "{{ '\\r' }}")
