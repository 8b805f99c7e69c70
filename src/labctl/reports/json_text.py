"""The report as JSON: what `labctl verify --json` prints, described by `report.schema.json` beside this file."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labctl.outcomes import Report

SCHEMA_FILE = Path(__file__).with_name("report.schema.json")
_UNSAFE = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def render(report: Report) -> str:
    """The report as one JSON object, always in the same order, with a newline at its end."""
    return dump(report.to_json()) + "\n"


def dump(value: Any, *, indent: int | None = 2) -> str:
    r"""`value` as JSON that is safe to print: readable letters, and every character that commands a terminal escaped.

    Nothing is lost, except that NaN and infinity, which JSON does not know, become words.

    >>> dump({"text": "好\x1b[31m\x9b", "loss": float("nan")}, indent=None)
    '{"text": "好\\u001b[31m\\u009b", "loss": "NaN"}'
    """
    text = json.dumps(_finite(value), ensure_ascii=False, indent=indent, default=str)
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "infinity" if value > 0 else "-infinity"
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
