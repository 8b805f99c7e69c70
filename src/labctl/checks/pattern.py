"""Regular expressions of lab files over learners' texts: in Python's dialect, and never without end."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator

from labctl.checks.base import Unmet

MAX_COMPARE_S = 1.5
"""Less than the grace that the grader gives a check beyond its timeout: that it took too long is then said here."""


def matching(pattern: str, texts: Iterable[str]) -> list[str]:
    """Those of `texts` in which `pattern` is found. Raises Unmet when all of them together take too long.

    Python's `re` cannot be stopped and stops every other thread: a text made for it would hang the grader.
    """
    import regex  # 100 ms that what compares nothing need not wait for

    compiled = regex.compile(pattern, regex.VERSION0)
    deadline = time.monotonic() + MAX_COMPARE_S
    try:
        return [text for text in texts if compiled.search(text, timeout=max(deadline - time.monotonic(), 0.001))]
    except TimeoutError:
        raise Unmet(f"it took too long to compare the text with /{pattern}/") from None


def _compiles(pattern: str) -> str:
    if "{{" not in pattern:
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]
"""A regular expression, or a template for one."""
