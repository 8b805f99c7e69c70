"""`doctor`: every prerequisite, found or not, and the command that mends it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from labctl.cli import screen
from labctl.cli.options import Json
from labctl.errors import PreflightError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from labctl.sessions.doctor import Finding


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
        out = screen.out()
        out.print(screen.table(("", "CHECK", "FOUND", "REMEDY"), [_row(finding) for finding in findings]))
        out.print()
        rows = [
            (setting.name, screen.text(setting.value or "–"), screen.text(setting.origin, "dim")) for setting in origins
        ]
        out.print(screen.table(("SETTING", "VALUE", "FROM"), rows))
        screen.hint("labctl list    the labs there are")
    return 0 if healthy(findings) else PreflightError.exit_code


def _row(finding: Finding) -> tuple[RenderableType, ...]:
    mark, style = {True: ("✓", "green"), False: ("✗", "red"), None: ("–", "yellow")}[finding.ok]
    return (
        screen.text(mark, style),
        screen.text(finding.name, "bold"),
        screen.text(finding.detail),
        screen.text(finding.remedy),
    )
