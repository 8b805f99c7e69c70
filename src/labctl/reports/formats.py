"""The formats a report can have. Each renderer is imported when it is first used."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from labctl.outcomes import Report

Render = Callable[[Report], str]


def _lazy(module: str, function: str = "render") -> Render:
    def render(report: Report) -> str:
        text: str = getattr(importlib.import_module(f"labctl.reports.{module}"), function)(report)
        return text

    return render


FORMATS: dict[str, Render] = {
    "text": _lazy("terminal"),
    "json": _lazy("json_text"),
    "junit": _lazy("junit"),
    "html": _lazy("html"),
    "ctrf": _lazy("ctrf"),
}
"""What `--format` accepts: a name, and the pure function from a Report to the whole text of the file."""
