"""Whatever number comes last."""

from __future__ import annotations

import re


def extract_number(text: str) -> int | None:
    """The last number of the text."""
    found = re.findall(r"-?\d+", text)
    return int(found[-1]) if found else None
