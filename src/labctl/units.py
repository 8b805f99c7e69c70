"""Durations in seconds and sizes in MiB, as people write them (`90s`, `4h30m`, `12GiB`), and back again."""

from __future__ import annotations

import math
import re

MAX_DURATION_S = 30 * 86400.0
MAX_SIZE_MIB = 1024**3
"""One PiB."""
MAX_CHARS = 40
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_MIB = {"k": 1 / 1024, "m": 1.0, "g": 1024.0, "t": 1024.0 * 1024}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt])(?:i?b)?", re.IGNORECASE)


def parse_duration(text: object) -> float:
    """Seconds in `text`: a number of seconds, or Compose's form such as `1h30m`, `45s`, `500ms`.

    Raises ValueError, saying what is accepted; more than 30 days are not.

    >>> parse_duration("1h30m"), parse_duration("500ms"), parse_duration(12)
    (5400.0, 0.5, 12.0)
    """
    if isinstance(text, int | float) and not isinstance(text, bool) and 0 <= text <= MAX_DURATION_S:
        return float(text)
    parts = _DURATION.findall(text) if isinstance(text, str) and len(text) <= MAX_CHARS else []
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{_shown(text)} is not a duration; write it like 30s, 10m or 1h30m, at most 30d")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if seconds > MAX_DURATION_S:
        raise ValueError(f"{_shown(text)} is more than 30d")
    return seconds


def parse_size_mib(text: object) -> int:
    """MiB in `text`: a number of MiB, or a size such as `4GiB`, `512m`, `1.5g` (all powers of 1024), rounded up.

    Raises ValueError, saying what is accepted; more than 1024 TiB are not.

    >>> parse_size_mib("4GiB"), parse_size_mib("512m"), parse_size_mib("100k")
    (4096, 512, 1)
    """
    if isinstance(text, int) and not isinstance(text, bool) and 0 <= text <= MAX_SIZE_MIB:
        return text
    match = _SIZE.fullmatch(text) if isinstance(text, str) and len(text) <= MAX_CHARS else None
    if match is None:
        raise ValueError(f"{_shown(text)} is not a size; write it like 512MiB or 4GiB, at most 1024TiB")
    mib = float(match[1]) * _MIB[match[2].lower()]
    if mib > MAX_SIZE_MIB:
        raise ValueError(f"{_shown(text)} is more than 1024TiB")
    return math.ceil(mib)


def format_duration(seconds: float) -> str:
    """The two largest units of `seconds`, for people.

    >>> format_duration(5400), format_duration(42.4), format_duration(0.25), format_duration(90000)
    ('1h 30m', '42s', '0.2s', '1d 1h')
    """
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "m"), (whole % 60, "s")]
    first = next(index for index, (amount, _) in enumerate(parts) if amount)
    return " ".join(f"{amount}{unit}" for amount, unit in parts[first : first + 2] if amount)


def format_mib(mib: float) -> str:
    """A size for people.

    >>> format_mib(512), format_mib(12288), format_mib(1536)
    ('512 MiB', '12 GiB', '1.5 GiB')
    """
    if mib < 1024:
        return f"{mib:.0f} MiB"
    return f"{mib / 1024:.1f}".removesuffix(".0") + " GiB"


def _shown(value: object) -> str:
    """A number of thousands of digits has no decimal text in Python, and nobody would read it."""
    if isinstance(value, int) and abs(value) >= 10**MAX_CHARS:
        return "a number of more than 40 digits"
    text = repr(value)
    return text if len(text) <= 2 * MAX_CHARS else f"{text[: 2 * MAX_CHARS]}…"
