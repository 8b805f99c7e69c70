"""The cohort file as models: who gets which labs, where, when, and how much of the machine."""

from __future__ import annotations

import difflib
import re
import zoneinfo
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema, field_validator, model_validator

from labctl.checks.base import Duration, Model, NonEmpty
from labctl.cohorts.webhook import Webhook
from labctl.errors import LabctlError, LabFileError
from labctl.gpus.need import Need, modes
from labctl.labs import catalog, courses
from labctl.labs.lab import validate
from labctl.labs.source import Loc, Source, read_source
from labctl.labs.spec import ID_PATTERN, Id, SizeMib
from labctl.names import MAX_LEARNER_CHARS
from labctl.settings import idle_timeout_s

MAX_NAME_CHARS = 16
MAX_SESSION_CHARS = 63
"""Of a DNS label: lab, cohort and learner, with two dashes between."""
COHORT_FILE = "cohort.yaml"
T = TypeVar("T")
D = TypeVar("D", date, datetime)

CohortName = Annotated[str, Field(pattern=ID_PATTERN, max_length=MAX_NAME_CHARS)]
Count = Annotated[int, Field(ge=0, le=100_000)]


def _moment_schema() -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "examples": ["2026-09-01", "2026-09-01 09:00", "2026-09-01T09:00+02:00"]})


class Window(Model):
    """When learners may have sessions. A time without an offset is in `timezone`; a date alone is the whole day."""

    timezone: NonEmpty = "UTC"
    """An IANA name, for example Europe/Berlin or Asia/Shanghai."""
    opens: Annotated[datetime | None, _moment_schema()] = None
    """From then on sessions are started; from now on when left out."""
    closes: Annotated[datetime | None, _moment_schema()] = None
    """The deadline: what stands then is graded. A date alone means the end of that day; never when left out."""

    @field_validator("timezone")
    @classmethod
    def _is_known(cls, name: str) -> str:
        _zone(name)
        return name

    @field_validator("opens", "closes", mode="before")
    @classmethod
    def _is_a_moment(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None or isinstance(value, datetime) or "timezone" not in info.data:
            return value
        return _moment(value, _zone(info.data["timezone"]), ends=info.field_name == "closes")

    @model_validator(mode="after")
    def _opens_before_it_closes(self) -> Window:
        if self.opens and self.closes and self.closes <= self.opens:
            raise ValueError(f"it closes ({self.closes.isoformat()}) before it opens ({self.opens.isoformat()})")
        return self


class Sessions(Model):
    """How many sessions there are at once."""

    initial: Count | None = None
    """So many are started before anybody asks; one for every learner when left out."""
    reserved: Count = 0
    """So many more are kept running that belong to nobody yet, so that whoever comes gets one at once."""
    maximum: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Never more at once than this, reserved ones included; as many as fit when left out."""

    @model_validator(mode="after")
    def _within_the_maximum(self) -> Sessions:
        if self.maximum is not None:
            if (self.initial or 0) + self.reserved > self.maximum:
                raise ValueError(f"initial and reserved sessions together are more than the maximum of {self.maximum}")
            if self.reserved == self.maximum:
                raise ValueError("all sessions are reserved, and none is left for a learner: raise maximum")
        return self


class Limits(Model):
    """What one learner may have, of all sessions together."""

    sessions: int = Field(default=1, ge=1, le=100)
    """Sessions at once."""
    memory: SizeMib | None = None
    """The most main memory. A lab that needs more is not started; no limit but the lab's own need when left out."""
    cpus: float | None = Field(default=None, gt=0, le=1024)
    """CPU cores that the seat planner counts for a session, when that is less than the lab says."""
    disk: SizeMib = 256
    """Disk that the learner's files of each lab are taken to need: say more where labs write models."""


class Gpu(Model):
    """How GPUs are given to this cohort."""

    sharing: Literal["exclusive", "mig", "mps", "timeslice", "any"] | None = None
    """In the place of what the labs say, as far as the isolation they insist on allows. `any` takes whatever serves."""

    def need(self, asked: Need) -> Need:
        """What is asked of GPUs for this cohort: `asked`, shared as it says here where a lab can be shared like that."""
        wanted = self.sharing
        impossible = (
            wanted is None
            or not modes(wanted, asked.isolation)
            or (wanted == "mig" and asked.count > 1)
            or (wanted in ("mps", "timeslice") and not asked.memory_mib)
        )
        return asked if wanted is None or impossible else replace(asked, sharing=wanted)


class Stagger(Model):
    """Sessions are started in groups, so that not everybody pulls, loads and compiles in the same second. A duration
    alone is the time between one session and the next."""

    every: Duration
    """Time between two groups."""
    size: int = Field(default=1, ge=1, le=10_000)
    """Sessions of a group."""

    def delay_s(self, position: int) -> float:
        """How long the session at `position`, counted from 0, waits for its start."""
        return position // self.size * self.every


class Late(Model):
    """What becomes of work after the window has closed."""

    days: int = Field(default=0, ge=0, le=365)
    """So long it still counts; 0 is not at all."""
    penalty_percent_per_day: float = Field(default=0.0, ge=0, le=100)
    """Taken off the score for each day begun."""


class Cost(Model):
    """What GPUs cost."""

    gpu_hour: float = Field(ge=0, lt=1e6)
    """The price of one GPU for an hour; of a share of one, that share."""
    currency: str = Field(default="", max_length=20)
    """For example EUR."""


def _each(value: Any) -> Any:
    return value if isinstance(value, dict) or value is None else {"every": value}


def _idle(value: Any) -> Any:
    return idle_timeout_s(value) if isinstance(value, str) else value


class Cohort(Model):
    """What a cohort file holds."""

    name: CohortName = "cohort"
    """Stands in the names of its sessions; that of the file's folder when left out."""
    title: str = Field(default="", max_length=200)
    """For people; the name when left out."""
    labs: list[Id] = []
    """Ids of labs, in the order in which they are done. Either this or `course`."""
    course: NonEmpty | None = None
    """A course, all of whose labs are done, in its order."""
    roster: NonEmpty
    """The list of people: a CSV file, relative to this one. What learning platforms export is understood."""
    runtime: Literal["local", "docker", "kubernetes"] | None = None
    """Where sessions run; LABCTL_RUNTIME when left out."""
    profile: Literal["cpu", "gpu"] | None = None
    """The size of labs that have both. Left out: gpu where the GPUs serve everybody at once, else cpu; the same for all."""
    window: Window = Window()
    sessions: Sessions = Sessions()
    ttl: Duration = Field(default=8 * 3600.0, ge=60)
    """How long a session lives unless it is extended."""
    idle: Annotated[
        float | None,
        BeforeValidator(_idle),
        WithJsonSchema(
            {"anyOf": [{"type": "string", "examples": ["30m", "1h", "never"]}, {"type": "number", "minimum": 60}]}
        ),
    ] = Field(default=3600.0, ge=60)
    """After so long without use a session's GPUs go back; `never` keeps them."""
    limits: Limits = Limits()
    gpu: Gpu = Gpu()
    overcommit: float = Field(default=4.0, ge=1, le=100)
    """So often is each CPU core promised: who learns reads and types most of the time. Memory is never promised twice."""
    stagger: Annotated[Stagger, BeforeValidator(_each)] = Stagger(every=0.0)
    """The pace of starts: `5s`, or `{size: 10, every: 1m}`. Left out, as fast as the machine can."""
    late: Late = Late()
    attempts: Literal["best", "last"] = "best"
    """Which of a learner's verifications counts."""
    instructors: list[NonEmpty] = []
    """Who may see and do everything: email addresses or user names of the portal."""
    cost: Cost | None = None
    """LABCTL_GPU_HOUR_PRICE when left out."""
    webhooks: list[Webhook] = []
    """Where is posted to what happens in the class, by the board of `labctl hub serve`: see board-api.md."""

    @model_validator(mode="after")
    def _labs_or_a_course(self) -> Cohort:
        if bool(self.labs) == (self.course is not None):
            raise ValueError("give `labs: [id, …]` or `course: name`, and not both")
        twice = sorted({lab for lab in self.labs if self.labs.count(lab) > 1})
        if twice:
            raise ValueError(f"the lab {twice[0]!r} is in it twice")
        return self

    def pairs(self, people: Sequence[T]) -> Iterator[tuple[T, str]]:
        """Each person with each lab's id, in order: everybody's first lab, then everybody's second. Of a course once it
        is loaded."""
        return ((person, lab) for lab in self.labs for person in people)


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortFile:
    """A cohort file that loaded without a mistake. `spec.labs` are the labs of its course, if it names one."""

    path: Path
    spec: Cohort
    source: Source

    @property
    def roster(self) -> Path:
        """Where the list of people is."""
        return self.path.parent / Path(self.spec.roster).expanduser()


def load(path: Path, more: Sequence[Path] = ()) -> CohortFile:
    """The cohort in the file at `path`, or in `cohort.yaml` of that folder; `more` are folders of labs, searched first.

    Raises LabFileError naming every mistake with file, line and column; unknown labs and courses are mistakes too.
    """
    path = path / COHORT_FILE if path.is_dir() else path
    try:
        source = read_source(path)
        spec = validate(Cohort, source, _named(source))
        spec = _with_labs(spec, source, more)
    except LabFileError as error:
        hint = "docs/cohort-file.md lists every field; `labctl cohort new NAME` writes a file that works"
        raise LabFileError(error.what, hint) from error
    return CohortFile(path=path, spec=spec, source=source)


def cohort_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a cohort file, as editors read it."""
    schema = Cohort.model_json_schema()
    stagger = schema["properties"]["stagger"]
    pace = schema["$defs"]["Stagger"]["properties"]["every"]["anyOf"]
    schema["properties"]["stagger"] = {**stagger, "anyOf": [*pace, {"$ref": stagger["$ref"]}]}
    del schema["properties"]["stagger"]["$ref"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "cohort.yaml of labctl"}


def _named(source: Source) -> Any:
    """The file's values, with a name where it gives none."""
    if not isinstance(source.data, dict) or "name" in source.data:
        return source.data
    folder = source.path.absolute()
    name = folder.parent.name if folder.name == COHORT_FILE else folder.stem
    words = re.sub(r"[^a-z0-9]+", "-", name.lower())[:MAX_NAME_CHARS].strip("-")
    return {**source.data, **({"name": words} if re.fullmatch(ID_PATTERN, words) else {})}


def _with_labs(spec: Cohort, source: Source, more: Sequence[Path]) -> Cohort:
    """The cohort with its course's labs, all of which exist. Raises LabFileError."""
    rows = catalog.summaries(more)
    if spec.course is not None:
        try:
            spec = spec.model_copy(update={"labs": courses.load(spec.course, rows, more).labs})
        except LabctlError as error:
            raise LabFileError(f"{source.at(('course',))}: course: {error.what}; {error.hint}") from error
    known = [row.id for row in rows]
    lines = []
    for index, lab in enumerate(spec.labs):
        loc: Loc = ("labs", index)
        too_long = len(lab) + len(spec.name) + MAX_LEARNER_CHARS + 4 - MAX_SESSION_CHARS
        if lab not in known:
            near = difflib.get_close_matches(lab, known, n=1)
            guess = f"; did you mean {near[0]!r}?" if near else "; `labctl list` shows the labs there are"
            lines.append(f"{source.at(loc)}: labs.{index}: no lab named {lab!r}{guess}")
        elif too_long > 0:
            what = f"the cohort's name {spec.name!r} is {too_long} characters too long for sessions of {lab!r}"
            lines.append(f"{source.at(('name',))}: name: {what}")
    if lines:
        raise LabFileError("\n".join(lines))
    return spec


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC  # known even where the host has no time zones
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        known = zoneinfo.available_timezones()
        near = difflib.get_close_matches(name, known, n=1)
        guess = f"did you mean {near[0]!r}?" if near else "for example Europe/Berlin"
        here = guess if known else "this host has none but UTC: install its package tzdata"
        raise ValueError(f"{name!r} is no time zone; {here}") from error


def _moment(value: Any, zone: tzinfo, *, ends: bool) -> datetime:
    """The time that `value` says, aware. Raises ValueError."""
    text = value if isinstance(value, str) else ""
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        day = _parsed(date.fromisoformat, text)
        return datetime.combine(day + timedelta(days=1 if ends else 0), time(), zone)
    moment = _parsed(datetime.fromisoformat, text.replace(" ", "T", 1).replace(" ", ""))
    if moment.tzinfo is not None:
        return moment
    local = moment.replace(tzinfo=zone)
    if local.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != moment:
        raise ValueError(f"{text} does not exist in {zone}: clocks are put forward then")
    return local


def _parsed(parse: Callable[[str], D], text: str) -> D:
    try:
        return parse(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no time; write it like 2026-09-01 09:00") from error
