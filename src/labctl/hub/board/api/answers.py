"""What the API answers and is sent, as models: the OpenAPI document is made of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from labctl.hub.board.deeds import MAX_MORE_S, MAX_TEXT_CHARS, MIN_MORE_S
from labctl.outcomes import Outcome

T = TypeVar("T")
_ADA = "s-1024"
_LAB = "stage2-finetune"
_SESSION = f"{_LAB}--autumn--{_ADA}"
_NOON = "2026-09-01T12:00:00Z"


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Me(Answer):
    """Whose token it is. `learner` is their id in the class, null for who is not on its list."""

    name: str = Field(examples=["ada@example.org"])
    role: Literal["instructor", "learner"]
    learner: str | None = Field(examples=[_ADA])


class Criterion(Answer):
    id: str = Field(examples=["adapter-trained"])
    text: str = Field(examples=["The adapter was trained on the data set"])
    points: int = Field(examples=[20])


class LabInfo(Answer):
    id: str = Field(examples=[_LAB])
    title: str = Field(examples=["Fine-tune a model"])
    max_points: int = Field(examples=[100])
    criteria: list[Criterion]


class ClassInfo(Answer):
    """The class that the board is of."""

    name: str = Field(examples=["autumn"])
    title: str = Field(examples=["Autumn term"])
    opens: datetime | None = Field(examples=[_NOON])
    closes: datetime | None = Field(examples=["2026-09-30T18:00:00Z"])
    labs: list[LabInfo]


class Place(Answer):
    """A learner in one lab. `state` is the session's: starting, running, stopping, stopped, failed, expired, or empty where
    there is none; `reason` says more. `outcomes` are by criterion, null where nobody has looked yet. `points` are those
    that count; `stuck_since` is since when nothing has come further, null for who is not stuck."""

    learner: str = Field(examples=[_ADA])
    lab: str = Field(examples=[_LAB])
    session: str = Field(examples=[_SESSION])
    state: str = Field(examples=["running"])
    reason: str
    outcomes: dict[str, Outcome | None] = Field(examples=[{"adapter-trained": "pass", "answers-better": None}])
    points: float = Field(examples=[20])
    max_points: int = Field(examples=[100])
    attempts: int = Field(examples=[3])
    passed: bool
    last_at: datetime | None = Field(examples=[_NOON])
    expires_at: datetime | None = Field(examples=["2026-09-01T20:00:00Z"])
    stuck_since: datetime | None
    gpus: str = Field(examples=["A100"])


class Learner(Answer):
    """Somebody on the class list, with their labs in order."""

    id: str = Field(examples=[_ADA])
    name: str = Field(examples=["Ada Lovelace"])
    email: str = Field(examples=["ada@example.org"])
    number: str = Field(examples=["S-1024"])
    labs: list[Place]


class Matrix(Answer):
    """Learners × criteria of one lab. With `since`, only the rows that changed after that `version`."""

    version: str = Field(examples=["5f2c9a10.7"])
    lab: str = Field(examples=[_LAB])
    title: str
    criteria: list[Criterion]
    rows: list[Place]


class Attempt(Answer):
    """One verification: `id` is its report's."""

    id: int = Field(examples=[7])
    at: datetime = Field(examples=[_NOON])
    outcome: Outcome
    score: int = Field(examples=[20])
    max_score: int = Field(examples=[100])


class Report(BaseModel):
    """A whole report, as `labctl verify --json` prints it."""

    model_config = ConfigDict(extra="allow")
    lab: str
    session: str
    learner: str
    outcome: Outcome
    score: int
    max_score: int
    criteria: list[dict[str, Any]]


class Action(Answer):
    """A line of the log. `state` is `open` until it is done or failed; `message` and `hint` say what came of it."""

    id: int = Field(examples=[31])
    at: datetime = Field(examples=[_NOON])
    actor: str = Field(examples=["eve@example.org"])
    role: str = Field(examples=["instructor"])
    action: str = Field(examples=["verify"])
    learner: str = Field(examples=[_ADA], description="Empty for a message to everybody.")
    lab: str = Field(examples=[_LAB])
    session: str = Field(examples=[_SESSION])
    request: dict[str, Any]
    state: Literal["open", "done", "failed"]
    message: str = Field(examples=["20 of 100 points"])
    hint: str
    ended_at: datetime | None = Field(examples=[_NOON])


class Letter(Answer):
    """A message to a learner."""

    id: int = Field(examples=[3])
    at: datetime = Field(examples=[_NOON])
    sender: str = Field(examples=["eve@example.org"])
    text: str = Field(examples=["Look at the hint of the second criterion."])
    read_at: datetime | None


class Posted(Answer):
    """Something that happened, on its way to a webhook. `status` is the last answer's, 0 for none yet; `next_at` is null
    once it has arrived or is given up."""

    id: int = Field(examples=[12])
    at: datetime = Field(examples=[_NOON])
    hook: str = Field(examples=["https://grades.example.org/labctl"])
    event: str = Field(examples=["verified"])
    attempts: int = Field(examples=[1])
    status: int = Field(examples=[204])
    problem: str
    next_at: datetime | None
    delivered_at: datetime | None = Field(examples=[_NOON])


class Listed(Answer, Generic[T]):
    """One page of a list. `next` is the `cursor` of the page after it, null on the last."""

    items: list[T]
    next: str | None = Field(examples=[None])


def _whole(value: Any) -> Any:
    """7200.0 is a whole number in JSON."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class MoreTime(BaseModel):
    """How much later a session ends."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"seconds": 7200}]})
    seconds: Annotated[int, Field(ge=int(MIN_MORE_S), le=int(MAX_MORE_S), strict=True), BeforeValidator(_whole)]


class Words(BaseModel):
    """A message; plain text, shown as it is."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"text": "Ten minutes left."}]})
    text: Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARS, pattern=r"\S", strict=True)]


class Problem(Answer):
    code: str = Field(examples=["not_found"])
    message: str = Field(examples=["autumn has no lab 'stage9'"])
    hint: str = Field(examples=["it has: stage2-finetune"])


class Failure(Answer):
    """What every error looks like."""

    error: Problem
