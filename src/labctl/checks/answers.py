"""`answers`: what the learner worked out from their own run."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, model_validator

from labctl.checks.base import BaseCheck, Model, NonEmpty, Unmet, WorkspacePath, shown
from labctl.checks.documents import Selector, parse_json, read_json, read_text, select
from labctl.checks.match import as_number, close
from labctl.outcomes import CheckResult
from labctl.target import Target

MAX_BYTES = 256 * 1024
MAX_DEPTH = 20
MAX_EVENTS = 20_000
_OPEN = {"", "null", "~", "todo", "tbd", "?", "...", "…"}
_GROUPED = re.compile(r"[+-]?\d{1,3}([,_]\d{3})+(\.\d+)?")


class Derived(Model):
    """A number in a JSON file that the learner's own run wrote."""

    file: WorkspacePath
    """The JSON file in the workspace."""
    select: Selector
    """A JMESPath expression that finds the number."""
    factor: float = 1.0
    """What the number is multiplied with, for example 100 for per cent."""


class AnswersCheck(BaseCheck):
    """An answer in a YAML or JSON file of the workspace: a number within a tolerance, or one of some short texts."""

    kind: Literal["answers"] = "answers"
    file: WorkspacePath = "answers.yaml"
    """Where the learner writes answers; .json is read as JSON, all else as YAML."""
    key: NonEmpty
    """Which answer; `a.b` is the key b inside a."""
    number: float | None = Field(default=None, allow_inf_nan=False)
    """The number wanted."""
    tolerance: float = Field(default=0.01, ge=0)
    """How far a number may be off, as a share of the one wanted: 0.01 is one per cent. Absolute when that is 0."""
    text: NonEmpty | Annotated[list[NonEmpty], Field(min_length=1)] | None = None
    """The text wanted, or any of these; case, spaces and a full stop at the end do not count."""
    derived: Derived | None = Field(default=None, alias="from")
    """The number wanted is derived from what the learner's own run recorded."""

    @model_validator(mode="after")
    def _one_answer(self) -> AnswersCheck:
        if sum(wanted is not None for wanted in (self.number, self.text, self.derived)) != 1:
            raise ValueError("give exactly one of number, text or from")
        return self

    def look(self, target: Target) -> CheckResult:
        answer = _find(_read(target, self.file), self.key)
        if isinstance(answer, dict | list):
            raise Unmet(f"{self.key} in {self.file} is to be one value, not a {type(answer).__name__}")
        if is_open(answer):
            raise Unmet(f"{self.key} in {self.file} is not answered yet")
        return self._text(str(answer)) if self.text is not None else self._number(target, answer)

    def _text(self, answer: str) -> CheckResult:
        accepted = [self.text] if isinstance(self.text, str) else self.text or []
        if _plain(answer) in map(_plain, accepted):
            return self.passed(f"{self.key} is right", actual=answer)
        return self.failed(f"{self.key} is {shown(answer)[:200]!r}, which is not an accepted answer", actual=answer)

    def _number(self, target: Target, answer: Any) -> CheckResult:
        number = to_number(answer)
        if number is None:
            raise Unmet(f"{self.key} is {shown(str(answer))[:200]!r}; wanted a number")
        wanted = self.number if self.derived is None else _derive(target, self.derived)
        # The number itself stays out of the report: the learner is to work it out.
        expected = f"within {self.tolerance:.3g} of {'your own run' if self.derived else 'the right number'}"
        if wanted is not None and close(number, wanted, self.tolerance):
            return self.passed(f"{self.key} is right", expected=expected, actual=number)
        source = f"does not agree with {self.derived.file}" if self.derived else "is not right"
        return self.failed(f"{self.key} is {number:g}, which {source}", expected=expected, actual=number)


def is_open(answer: Any) -> bool:
    """Whether nobody has answered yet: nothing is there, or one of the words that stand for nothing.

    >>> is_open(None), is_open(" TODO "), is_open(0)
    (True, True, False)
    """
    return answer is None or str(answer).strip().lower() in _OPEN


def to_number(answer: Any) -> float | None:
    """The finite number a person wrote, thousands grouped or not; None for anything else.

    >>> to_number("1,234.5"), to_number("29_184"), to_number("nan"), to_number("12 apples")
    (1234.5, 29184.0, None, None)
    """
    if isinstance(answer, str) and _GROUPED.fullmatch(answer.strip()):
        answer = re.sub("[,_]", "", answer)
    return as_number(answer)


def _read(target: Target, path: str) -> Any:
    text = read_text(target, path, MAX_BYTES)
    return parse_json(text.encode(), path) if path.endswith(".json") else parse_yaml(text, path)


def parse_yaml(text: str, path: str) -> Any:
    """Every scalar stays the text it was written as, so that `yes` is no truth value and `1:30` no number in base 60."""
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        _refuse_bombs(text, path, loader)
        return yaml.load(text, Loader=loader)  # noqa: S506 the base loader builds nothing but texts, lists and maps
    except yaml.MarkedYAMLError as error:
        where = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise Unmet(f"{path} is not YAML: {error.problem or error.context}{where}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise Unmet(f"{path} is not YAML: {str(error)[:200]}") from None


def _refuse_bombs(text: str, path: str, loader: Any) -> None:
    """Before anything is built: aliases, which can expand without bound, and depth, which exhausts the stack."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=loader)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            raise Unmet(f"{path} holds an alias (*{event.anchor}); write the value out")
        if depth > MAX_DEPTH or number > MAX_EVENTS:
            raise Unmet(f"{path} is nested deeper, or holds more, than answers do")


def _find(answers: Any, key: str) -> Any:
    for part in key.split("."):
        if not isinstance(answers, dict):
            return None
        answers = answers.get(part)
    return answers


def _derive(target: Target, derived: Derived) -> float:
    value = select(derived.select, read_json(target, derived.file), derived.file)
    number = as_number(value)
    if number is None:
        raise Unmet(f"{derived.select} in {derived.file} is {str(value)[:100]}; your run is to record a number there")
    return number * derived.factor


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".")
