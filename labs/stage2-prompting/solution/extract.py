"""Step 4: get the answer out of what a model says."""

from __future__ import annotations

import re

_LINE = re.compile(r"^\s*answer:(.*)$", re.IGNORECASE | re.MULTILINE)
_NUMBER = re.compile(r"-?\d[\d,]*")


def extract_number(text: str) -> int | None:
    """The number of the last line that begins with `Answer:`; None when there is no such line, or no number in it.

    `Answer: 12`, `answer: **12** people.` and `Answer: 1,200` count, and so does a negative number. A number anywhere
    else does not: a reply that was cut off in the middle of its steps has no answer. (A reply that is nothing but a
    number, as a direct prompt asks for, is an answer: `12` and `12.` are 12.)
    """
    lines = _LINE.findall(text)
    if not lines:
        return int(text.strip().rstrip(".")) if re.fullmatch(r"\s*-?\d+\.?\s*", text) else None
    found = _NUMBER.search(lines[-1])
    return int(found[0].replace(",", "")) if found else None
