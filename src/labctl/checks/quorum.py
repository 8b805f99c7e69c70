"""`quorum`: enough of several checks, or of one check looked at several times."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from labctl.checks.base import BaseCheck, Duration
from labctl.outcomes import CheckResult, Outcome
from labctl.target import CannotLook, Target

if TYPE_CHECKING:
    from labctl.checks.kinds import Check

GRACE_S = 1.0
"""How long after its own timeout a check may still be busy with ending what it started."""
PAUSE_S = 0.5
"""Between two attempts of a check with a retry budget."""
MAX_MESSAGE_CHARS = 300


def _as_written(schema: dict[str, Any]) -> None:
    """Within the schema of a field: a check as a lab file writes it, as one key with its settings."""
    for part in (*schema.get("anyOf", ()), *filter(None, [schema.get("items")])):
        _as_written(part)
    if "discriminator" in schema:
        kinds = schema.pop("discriminator")["mapping"]
        schema["oneOf"] = [
            {"type": "object", "properties": {kind: {"$ref": ref}}, "required": [kind], "additionalProperties": False}
            for kind, ref in kinds.items()
        ]


class QuorumCheck(BaseCheck):
    """Enough of several checks pass, or one check passes often enough."""

    kind: Literal["quorum"] = "quorum"
    timeout: Duration = 0.0
    """Seconds for all together; 0, or left out: as much as its checks may take one after the other, with their retries."""
    at_least: int = Field(ge=1)
    """How many must pass."""
    checks: Annotated[list[Check], Field(min_length=1, max_length=20)] | None = Field(
        default=None, json_schema_extra=_as_written
    )
    """The checks, looked at one after the other until enough have passed; each keeps to its own timeout and retry."""
    times: int | None = Field(default=None, ge=1, le=20)
    """With `check`: how often it is looked at, at most."""
    check: Check | None = Field(default=None, json_schema_extra=_as_written)
    """One check, in place of several."""

    @model_validator(mode="after")
    def _can_be_reached(self) -> QuorumCheck:
        if (self.checks is None) == (self.check is None) or (self.check is None) != (self.times is None):
            raise ValueError("give checks, or check with times")
        if self.at_least > len(self._members()):
            raise ValueError(f"at_least is {self.at_least}, of only {len(self._members())}")
        if not self.timeout:  # set beside pydantic, so that it does not count as given
            self.__dict__["timeout"] = sum(member.timeout + member.retry + GRACE_S for member in self._members())
        return self

    def look(self, target: Target) -> CheckResult:
        deadline = time.monotonic() + self.timeout
        results: list[CheckResult] = []
        for member in self._members():
            results.append(_settled(member, target, deadline))
            if _count(results, Outcome.PASS) == self.at_least:
                break
        return self._judged(results)

    def _members(self) -> list[BaseCheck]:
        """The checks, one for each look."""
        members: list[Any] = self.checks if self.checks is not None else [self.check] * (self.times or 0)
        return members

    def _judged(self, results: list[CheckResult]) -> CheckResult:
        passes, errors = _count(results, Outcome.PASS), _count(results, Outcome.ERROR)
        seen = [{"kind": one.kind, "outcome": str(one.outcome), "message": _brief(one)} for one in results]
        wanted = {"at_least": self.at_least}
        if passes >= self.at_least:
            return self.passed(f"{passes} of {len(results)} passed", expected=wanted, actual=seen)
        missed = dict.fromkeys(f"{one.kind}: {_brief(one)}" for one in results if one.outcome is not Outcome.PASS)
        text = f"{passes} of {len(results)} passed; wanted at least {self.at_least}: {'; '.join(missed)}"
        if passes + errors >= self.at_least:
            raise CannotLook(text)
        return self.failed(text, expected=wanted, actual=seen)


def _brief(result: CheckResult) -> str:
    return result.message[:MAX_MESSAGE_CHARS]


def _settled(check: BaseCheck, target: Target, deadline: float) -> CheckResult:
    """What a check comes to within its own timeout and retry budget, and before the deadline of all."""
    first_at = time.monotonic()
    while True:
        result = _attempt(check, target, min(check.timeout + GRACE_S, deadline - time.monotonic()))
        again_at = time.monotonic() + PAUSE_S
        if result.outcome is Outcome.PASS or again_at > min(first_at + check.retry, deadline):
            return result
        time.sleep(PAUSE_S)


def _attempt(check: BaseCheck, target: Target, wait_s: float) -> CheckResult:
    """One attempt, in a thread of its own: one that hangs is left behind, and the others are still looked at."""
    if wait_s <= 0:
        return check.unseen("not looked at: the time of all checks together was over")
    answers: queue.SimpleQueue[CheckResult] = queue.SimpleQueue()
    threading.Thread(target=lambda: answers.put(_observed(check, target)), daemon=True).start()
    try:
        return answers.get(timeout=wait_s)
    except queue.Empty:
        return check.unseen(f"still running after {wait_s:.0f} s")


def _observed(check: BaseCheck, target: Target) -> CheckResult:
    """The outcome of an attempt, whatever it raises."""
    try:
        return check.run(target)
    except BaseException as error:  # noqa: BLE001 whatever a check does, the others are still looked at
        return check.raised(error)


def _count(results: list[CheckResult], outcome: Outcome) -> int:
    return sum(result.outcome is outcome for result in results)
