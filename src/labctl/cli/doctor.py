"""`doctor`: every prerequisite, found or not, and the command that mends it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from labctl.cli import screen
from labctl.cli.options import Json
from labctl.cli.table import Cell
from labctl.errors import PreflightError

if TYPE_CHECKING:
    from labctl.sessions.finding import Finding


def doctor(json: Json = False) -> int:
    """Check this machine, and show each setting with its origin."""
    from labctl.cli.context import context
    from labctl.sessions.doctor import examine, healthy

    ctx = context()
    findings = examine(ctx)
    origins = ctx.settings.origins
    if json:
        screen.answer_json(
            {"findings": [asdict(each) for each in findings], "settings": [asdict(each) for each in origins]}
        )
    else:
        screen.table(("", "CHECK", "FOUND", "REMEDY"), [_row(finding) for finding in findings])
        screen.line()
        rows = [(setting.name, Cell(setting.value or "–"), Cell(setting.origin, "dim")) for setting in origins]
        screen.table(("SETTING", "VALUE", "FROM"), rows)
        screen.hint("labctl list    the labs there are")
    return 0 if healthy(findings) else PreflightError.exit_code


def _row(finding: Finding) -> tuple[Cell, ...]:
    mark, style = {True: ("✓", "green"), False: ("✗", "red"), None: ("–", "yellow")}[finding.ok]
    return (
        Cell(mark, style),
        Cell(finding.name, "bold"),
        Cell(finding.detail),
        Cell(finding.remedy),
    )
