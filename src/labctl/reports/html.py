"""The report as one HTML page that needs nothing else: for a mail, an archive, or a sheet of paper."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template

from labctl.outcomes import Report
from labctl.reports import wording
from labctl.reports.plain import one_line, plain

_TEMPLATE = Path(__file__).with_name("report.html.j2")


def render(report: Report) -> str:
    """The whole page. Everything in it is escaped; it holds no script and asks no other machine for anything."""
    sentence, command = wording.next_step(report)
    return _template().render(report=report, wording=wording, sentence=sentence, command=command) + "\n"


@cache
def _template() -> Template:
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page.filters |= {"plain": plain, "line": one_line, "brief": wording.brief}
    return page.from_string(_TEMPLATE.read_text(encoding="utf-8"))
