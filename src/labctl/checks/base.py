"""What every check is made of: a frozen model with a timeout, a retry budget and `run(target)`."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from labctl.outcomes import CheckResult, Outcome
from labctl.target import CannotLook, RefusedPath, Target, Unreachable
from labctl.units import parse_duration

MAX_SHOWN_CHARS = 2000
MAX_SHOWN_DEPTH = 20
MAX_INTEGER = 2**64
END = r"$(?!\n)"
"""The end of a pattern: Python's `$` alone also matches before a last newline. JSON Schema's dialect knows no `\\Z`."""

Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema({"anyOf": [{"type": "string", "examples": ["30s", "1h30m"]}, {"type": "number", "minimum": 0}]}),
]
NonEmpty = Annotated[str, Field(min_length=1)]
EnvironmentName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*" + END)]
"""What a variable of a process' environment may be called."""
RENDERED = {"rendered": True}
"""The validation context of checks whose templates are filled in: what labctl provides is then an absolute path."""


def _stays_inside(text: str, info: ValidationInfo) -> str:
    path, rendered = PurePosixPath(text), bool(info.context and info.context.get("rendered"))
    if ".." in path.parts or "\0" in text or (path.is_absolute() and not rendered):
        raise ValueError(f"{text!r} leads out of the workspace; give a path relative to it, without '..'")
    return text


WorkspacePath = Annotated[NonEmpty, AfterValidator(_stays_inside)]
"""A path relative to the workspace, or a template for one that labctl provides, such as "{{ model_path }}/config.json"."""


class Unmet(Exception):
    """What was seen already rules a pass out, for example a file that is no JSON. Becomes the outcome `fail`."""


class Model(BaseModel):
    """A value that comes out of YAML: frozen, and an unknown key is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", regex_engine="python-re", use_attribute_docstrings=True)

    @model_validator(mode="after")
    def _has_no_nul_and_no_huge_integer(self) -> Self:
        for name, value in self:
            for scalar in _scalars(value):
                if isinstance(scalar, str) and "\0" in scalar:
                    raise ValueError(f"{name}: a text must not hold the character NUL")
                if isinstance(scalar, int) and not -MAX_INTEGER <= scalar <= MAX_INTEGER:
                    raise ValueError(f"{name}: a whole number must fit into 64 bits")
        return self


class BaseCheck(Model):
    """One observation of the learner's work."""

    timeout: Duration = 30.0
    """Seconds one attempt may take, all of it."""
    retry: Duration = 0.0
    """How long to keep trying while it does not pass; 0 looks once."""
    alone: bool = False
    """Look while no other check is looking: for what others would disturb, as counters that must grow by so much, or times."""

    computes: ClassVar[bool] = False
    """Whether a look keeps a core busy rather than waiting for an answer; of such, only as many run at once as there are cores."""

    def run(self, target: Target) -> CheckResult:
        """Look once. Raises CannotLook, Unreachable or RefusedPath, which the grader turns into outcomes."""
        try:
            return self.look(target)
        except Unmet as unmet:
            return self.failed(str(unmet))

    def look(self, target: Target) -> CheckResult:
        """What each kind does; it may also raise Unmet, whose message is then the check's."""
        raise NotImplementedError

    @property
    def shares(self) -> Hashable:
        """Equal for checks of which one look can settle all, see `looks_at`; None for one that is looked at by itself."""
        return None

    @classmethod
    def looks_at(cls, checks: Sequence[Self], target: Target) -> list[Callable[[], CheckResult]]:
        """A look for each of `checks`, which share something; what they have in common is done here, once."""
        return [partial(check.run, target) for check in checks]

    def passed(self, message: str, *, expected: Any = None, actual: Any = None) -> CheckResult:
        return self._result(Outcome.PASS, message, expected, actual)

    def failed(self, message: str, *, expected: Any = None, actual: Any = None) -> CheckResult:
        return self._result(Outcome.FAIL, message, expected, actual)

    def raised(self, error: BaseException) -> CheckResult:
        """What a look comes to that raised `error`: whether the grader could not look, or the learner's work is wrong."""
        match error:
            case CannotLook():
                return self.unseen(f"could not look: {error}")
            case Unreachable():
                return self.failed(f"no answer: {error}")
            case RefusedPath():
                return self.failed(f"the path leads out of the workspace: {error}")
            case _:
                return self.unseen(f"{type(error).__name__}: {error}")

    def unseen(self, why: str) -> CheckResult:
        """The outcome `error`: nothing is known of the learner's work."""
        return self._result(Outcome.ERROR, why, None, None)

    def _result(self, outcome: Outcome, message: str, expected: Any, actual: Any) -> CheckResult:
        kind: str = getattr(self, "kind", type(self).__name__)
        return CheckResult(
            kind=kind, outcome=outcome, message=shown(message), expected=shown(expected), actual=shown(actual)
        )


def _scalars(value: Any) -> Iterator[str | int]:
    """The texts and whole numbers in a value of YAML, keys included; models have looked at theirs themselves."""
    if isinstance(value, str | int):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _scalars(key)
            yield from _scalars(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _scalars(item)


def shown(value: Any) -> Any:
    """`value` cut to what a report can carry, as a JSON value; NaN, infinity and control characters become visible.

    >>> shown(float("nan")), shown("a" * 3000)[-23:], shown("\\x1b[31mred")
    ('NaN', 'a… (2000 of 3000 shown)', '␛[31mred')
    """
    if isinstance(value, str):
        cut = _printable(value[:MAX_SHOWN_CHARS])
        return cut if len(value) <= MAX_SHOWN_CHARS else f"{cut}… ({MAX_SHOWN_CHARS} of {len(value)} shown)"
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return "NaN" if value != value else f"{'-' if value < 0 else ''}infinity"
    if value is None or isinstance(value, bool | int | float):
        return value
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except RecursionError:
        return "a value nested too deeply to show"
    return _clean(json.loads(text, parse_constant=str)) if len(text) <= MAX_SHOWN_CHARS else shown(text)


def _clean(value: Any, depth: int = 0) -> Any:
    if isinstance(value, str):
        return _printable(value)
    if isinstance(value, list | dict) and depth == MAX_SHOWN_DEPTH:
        return "…"
    if isinstance(value, list):
        return [_clean(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {_printable(key): _clean(item, depth + 1) for key, item in value.items()}
    return value


_PICTURES = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n"} | {0x7F: 0x2421}


def _printable(text: str) -> str:
    """`text` without terminal escapes and lone surrogates, which a terminal obeys and UTF-8 and XML refuse."""
    return text.replace("\r\n", "\n").translate(_PICTURES).encode("utf-8", "replace").decode()
