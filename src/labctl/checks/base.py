"""What every check is made of: a frozen model with a timeout, a retry budget and `run(target)`."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from labctl.outcomes import CheckResult, Outcome
from labctl.target import Target
from labctl.units import parse_duration

MAX_SHOWN_CHARS = 2000

Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema({"anyOf": [{"type": "string", "examples": ["30s", "1h30m"]}, {"type": "number", "minimum": 0}]}),
]


class Model(BaseModel):
    """A value that comes out of YAML: frozen, and an unknown key is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", regex_engine="python-re", use_attribute_docstrings=True)


class BaseCheck(Model):
    """One observation of the learner's work."""

    timeout: Duration = 30.0
    """Seconds one attempt may take, all of it."""
    retry: Duration = 0.0
    """How long to keep trying while it does not pass; 0 looks once."""

    def run(self, target: Target) -> CheckResult:
        """Look once. Raises CannotLook, Unreachable or RefusedPath, which the grader turns into outcomes."""
        raise NotImplementedError

    def passed(self, message: str, *, expected: Any = None, actual: Any = None) -> CheckResult:
        return self._result(Outcome.PASS, message, expected, actual)

    def failed(self, message: str, *, expected: Any = None, actual: Any = None) -> CheckResult:
        return self._result(Outcome.FAIL, message, expected, actual)

    def _result(self, outcome: Outcome, message: str, expected: Any, actual: Any) -> CheckResult:
        kind: str = getattr(self, "kind", type(self).__name__)
        return CheckResult(
            kind=kind, outcome=outcome, message=shown(message), expected=shown(expected), actual=shown(actual)
        )


def shown(value: Any) -> Any:
    """`value` cut to what a report can carry, as a JSON value; NaN and infinity become words.

    >>> shown(float("nan")), shown("a" * 3000)[-23:]
    ('NaN', 'a… (2000 of 3000 shown)')
    """
    if isinstance(value, str):
        cut = value[:MAX_SHOWN_CHARS]
        return value if cut == value else f"{cut}… ({len(cut)} of {len(value)} shown)"
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return "NaN" if value != value else f"{'-' if value < 0 else ''}infinity"
    if value is None or isinstance(value, bool | int | float):
        return value
    text = json.dumps(value, ensure_ascii=False, default=str)
    return json.loads(text, parse_constant=str) if len(text) <= MAX_SHOWN_CHARS else shown(text)


NonEmpty = Annotated[str, Field(min_length=1)]
