"""Text that learners' work had a hand in, made harmless: no terminal commands, nothing that XML or a reader trips over."""

from __future__ import annotations

import re

_ESCAPE_SEQUENCE = re.compile(
    r"""
    (?:\x1b\[|\x9b) [0-?]* [ -/]* [@-~]                          # CSI: colours, cursor, clearing the screen
    | (?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f]) .*? (?:\x07|\x1b\\|\x9c) # OSC, DCS and their kin: titles, links, clipboard
    | \x1b [ -/]* [0-~]                                          # everything shorter
    """,
    re.VERBOSE | re.DOTALL,
)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_INVISIBLE = re.compile("[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")  # direction marks turn text around
_NO_CHARACTER = re.compile("[\ud800-\udfff\ufffe\uffff]")


def plain(text: str) -> str:
    r"""`text` without escape sequences, control characters and direction marks; newlines and tabs stay.

    >>> plain("\x1b[31mred\x1b[0m \x1b]0;title\x07\u202egnp.exe\r\n")
    'red gnp.exe\n'
    """
    visible = _CONTROL.sub("", _ESCAPE_SEQUENCE.sub("", text))
    return _NO_CHARACTER.sub("\ufffd", _INVISIBLE.sub("", visible))


def one_line(text: str, limit: int | None = None) -> str:
    r"""`text` made plain, with every run of white space as one blank, and cut to `limit` characters.

    >>> one_line("a\n  b\tc"), one_line("abcdef", limit=4)
    ('a b c', 'abc…')
    """
    line = " ".join(plain(text).split())
    return line if limit is None or len(line) <= limit else line[: limit - 1] + "…"
