"""`command`: a program run as the session."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from labctl.checks.base import BaseCheck, NonEmpty
from labctl.checks.match import Match
from labctl.checks.request import as_list
from labctl.outcomes import CheckResult
from labctl.target import CommandResult, Target

MAX_LINE_CHARS = 300


class CommandCheck(BaseCheck):
    """A command run in the workspace as the session; its exit code and output are compared."""

    computes: ClassVar[bool] = True
    kind: Literal["command"] = "command"
    command: Annotated[list[NonEmpty], Field(min_length=1)]
    """The program and its arguments; no shell reads them."""
    env: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], str] = {}
    """Added to the workspace's environment."""
    stdin: str = ""
    """What the command reads."""
    exit_code: int | list[int] = 0
    """The exit code wanted, or any of these."""
    stdout: Match | None = None
    """What the first MiB of the output must be."""
    stderr: Match | None = None
    """What the first MiB of the error output must be."""

    def look(self, target: Target) -> CheckResult:
        result = target.run(self.command, timeout_s=self.timeout, env=self.env, stdin=self.stdin.encode())
        name = " ".join(self.command)[:120]
        seen = {"exit_code": result.exit_code, "stdout": result.stdout[-800:], "stderr": result.stderr[-800:]}
        if result.timed_out:
            return self.failed(f"`{name}` was still running after {self.timeout:g}s and was ended", actual=seen)
        if result.truncated:
            seen["truncated"] = True
        unmet = self._unmet(result)
        if unmet:
            message = f"`{name}` ended with {result.exit_code}; wanted {'; '.join(unmet)}{_last_words(result)}"
            return self.failed(message, expected=unmet, actual=seen)
        return self.passed(f"`{name}` ended with {result.exit_code}", actual=seen)

    def _unmet(self, result: CommandResult) -> list[str]:
        codes = as_list(self.exit_code)
        unmet = [] if result.exit_code in codes else [f"exit code {' or '.join(map(str, codes))}"]
        if self.stdout is not None:
            unmet += [f"output {text}" for text in self.stdout.unmet(result.stdout)]
        if self.stderr is not None:
            unmet += [f"error output {text}" for text in self.stderr.unmet(result.stderr)]
        return unmet


def _last_words(result: CommandResult) -> str:
    """The last line the command wrote, its errors first: that is where programs say why they ended."""
    lines = [line for text in (result.stdout, result.stderr) for line in text.splitlines() if line.strip()]
    return f": {lines[-1].strip()[:MAX_LINE_CHARS]}" if lines else ""
