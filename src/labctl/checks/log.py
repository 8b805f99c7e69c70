"""`log`: what a service wrote."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from labctl.checks.base import BaseCheck, NonEmpty
from labctl.checks.match import Match
from labctl.checks.pattern import Pattern, matching
from labctl.outcomes import CheckResult
from labctl.target import Target


class LogCheck(BaseCheck):
    """The last MiB of a service's log: its text, and how many of its lines match a pattern."""

    kind: Literal["log"] = "log"
    service: NonEmpty
    """Whose log."""
    text: Match | None = None
    """What the log as a whole must be."""
    line: Pattern | None = None
    """A regular expression, looked for in each line."""
    count: Match | None = None
    """How many lines must match `line`; at least one when left out."""

    @model_validator(mode="after")
    def _says_something(self) -> LogCheck:
        if self.text is None and self.line is None:
            raise ValueError("give text, line or both")
        if self.count is not None and self.line is None:
            raise ValueError("count counts the lines that match line; give line")
        return self

    def look(self, target: Target) -> CheckResult:
        log = target.logs(self.service)
        lines = matching(self.line, log.splitlines()) if self.line is not None else []
        unmet = [f"a log {text}" for text in (self.text.unmet(log) if self.text else [])]
        if self.line is not None:
            count = self.count or Match(ge=1)
            unmet += [f"lines matching /{self.line}/ {text}, not {len(lines)}" for text in count.unmet(len(lines))]
        seen = {"matching_lines": len(lines), "end": log[-800:]} if self.line is not None else {"end": log[-800:]}
        if unmet:
            return self.failed(f"log of {self.service}: wanted {'; '.join(unmet)}", expected=unmet, actual=seen)
        return self.passed(f"the log of {self.service} is as wanted", actual=seen)
