"""`doctor`: every prerequisite, found or not, and the command that mends it."""

from __future__ import annotations

from collections.abc import Iterator
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
        screen.hint(*_next(findings))
    return 0 if healthy(findings) else PreflightError.exit_code


def _next(findings: list[Finding]) -> Iterator[str]:
    from labctl.sessions.mending import roles

    if mending := roles(findings):
        command = f"sudo labctl host prepare -i localhost, -c local --role {','.join(mending)}"
        yield f"{command}    has Ansible mend what names a role"
    yield "labctl list    the labs there are"


def _row(finding: Finding) -> tuple[Cell, ...]:
    mark, style = {True: ("✓", "green"), False: ("✗", "red"), None: ("–", "yellow")}[finding.ok]
    return (
        Cell(mark, style),
        Cell(finding.name, "bold"),
        Cell(finding.detail),
        Cell(_remedy(finding)),
    )


def _remedy(finding: Finding) -> str:
    if not finding.role:
        return finding.remedy
    return f"{finding.remedy} (role {finding.role})".strip()
