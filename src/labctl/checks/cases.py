"""`cases`: inputs with what is wanted of their answers, in a JSONL file of the lab that the learner's side never sees."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, ValidationError, model_validator

from labctl.checks.base import END, BaseCheck, Duration, Model, NonEmpty, Unmet, shown
from labctl.checks.documents import Selector, brief, select
from labctl.checks.match import Match
from labctl.checks.source import Source
from labctl.outcomes import CheckResult
from labctl.target import CannotLook, Target

LAB = "{{ lab_folder }}"
MAX_BYTES = 16 * 1024 * 1024
MAX_CASES = 10_000
MAX_WORST = 3
MAX_INPUT_CHARS = 120


class Case(Model, extra="ignore"):
    """A line of the file. What else it holds, a note or a topic, is for its author."""

    id: str | int | None = None
    input: Any
    relevant: list[str | int] = []
    expected: str | list[str] = []

    @property
    def references(self) -> list[str]:
        """The texts that count as right."""
        return [self.expected] if isinstance(self.expected, str) else self.expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A case with what was answered and what that is worth, 0 to 1."""

    case: Case
    said: Any
    score: float

    def __str__(self) -> str:
        return f"{_input(self.case)} got {brief(self.said)} ({self.score:.2g})"

    def to_json(self) -> dict[str, Any]:
        return {"input": shown(self.case.input), "answer": brief(self.said), "score": round(self.score, 3)}


class CasesCheck(BaseCheck):
    """What checks have in common that ask for many answers and come to one number."""

    computes: ClassVar[bool] = True
    timeout: Duration = 120.0
    """Seconds one attempt may take, for all inputs together."""
    source: Source = Field(alias="from")
    """How the answers are got."""
    select: Selector | None = None
    """A JMESPath expression: what of each answer counts. The whole answer when left out; with `chat`, its `text`."""
    cases: str = Field(pattern=r"^[^/].*\.jsonl" + END)
    """A JSONL file of the lab, for example checks/cases.jsonl. Of each line only `id` (its number when left out) and `input`
    are shown to the learner's side."""
    lab: NonEmpty = LAB
    """The lab's folder where the check runs, which is not in the session; filled in."""
    value: Match
    """What the number must be, 0 to 1."""

    @model_validator(mode="before")
    @classmethod
    def _lab_counts_as_given(cls, values: Any) -> Any:
        """The plan renders the templates in what was given; the lab's folder is one that no author has to write."""
        return {"lab": LAB, **values} if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _can_be_selected(self) -> CasesCheck:
        if ".." in Path(self.cases).parts:
            raise ValueError(f"{self.cases!r} leads out of the lab's folder")
        if self.source.command is not None and self.select is None:
            raise ValueError("with from.command each answer is an object; say with select what of it counts")
        return self

    def asked(self, target: Target, cases: Sequence[Case]) -> list[Any]:
        """What counts of the answer to each case, in their order; None where `select` finds nothing."""
        questions = [(str(case.id), case.input) for case in cases]
        answers = self.source.answers(target, questions, self.timeout)
        expression = self.select or ("text" if self.source.chat else None)
        return [select(expression, answer, _place(case)) for case, answer in zip(cases, answers, strict=True)]

    def judged(self, name: str, score: float, scored: Sequence[Scored]) -> CheckResult:
        """The result for the number `score`, with the answers that were furthest from right."""
        score = round(score, 9)  # 0.1 + 0.2 is not to miss 0.3
        worst = sorted((one for one in scored if one.score < 1), key=lambda one: one.score)[:MAX_WORST]
        seen = {name: shown(score), "cases": len(scored), "worst": [one.to_json() for one in worst]}
        text = f"{name} is {score:.3g} over {len(scored)} {'case' if len(scored) == 1 else 'cases'}"
        wanted = self.value.wanted()
        unmet = self.value.unmet(score)
        if not unmet:
            return self.passed(text, expected=wanted, actual=seen)
        furthest = f"; furthest off: {'; '.join(map(str, worst))}" if worst else ""
        return self.failed(f"{text}; wanted {' and '.join(unmet)}{furthest}", expected=wanted, actual=seen)

    def nothing_in(self, case: Case, said: Any, wish: str) -> Unmet:
        """The failure of an answer that is of no use."""
        where = f"{self.select} in " if self.select else ""
        return Unmet(f"{where}{_place(case)} is {brief(said)}; wanted {wish}")


def read_cases(lab: str, path: str) -> list[Case]:
    """The cases of a lab's file. Raises CannotLook with the line when the file is wrong: the mistake is the lab's."""
    try:
        data = (Path(lab) / path).read_bytes()
    except OSError as error:
        raise CannotLook(f"the lab's {path} cannot be read: {error.strerror or error}") from error
    if len(data) > MAX_BYTES:
        raise CannotLook(f"the lab's {path} is larger than {MAX_BYTES} bytes")
    lines = [(number, line) for number, line in enumerate(data.split(b"\n"), start=1) if line.strip()]
    cases = [_case(line, number, path) for number, line in lines]
    if not 0 < len(cases) <= MAX_CASES:
        raise CannotLook(f"the lab's {path} holds {len(cases)} cases; wanted 1 to {MAX_CASES}")
    ids = [str(case.id) for case in cases]
    twice = next((id for id in ids if ids.count(id) > 1), None) if len(set(ids)) < len(ids) else None
    if twice is not None:
        raise CannotLook(f"the lab's {path} gives the id {twice!r} twice")
    return cases


def mean(scores: Sequence[float]) -> float:
    """The mean, without the rounding errors of a plain sum."""
    return math.fsum(scores) / len(scores)


def _case(line: bytes, number: int, path: str) -> Case:
    try:
        case = Case.model_validate(json.loads(line))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise CannotLook(f"the lab's {path}, line {number}: {where}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise CannotLook(f"the lab's {path}, line {number}, is not JSON: {error}") from error
    return case if case.id is not None else case.model_copy(update={"id": number})


def _place(case: Case) -> str:
    return f"the answer to {_input(case)}"


def _input(case: Case) -> str:
    text = case.input if isinstance(case.input, str) else json.dumps(case.input, ensure_ascii=False)
    return repr(text if len(text) <= MAX_INPUT_CHARS else f"{text[:MAX_INPUT_CHARS]}…")
