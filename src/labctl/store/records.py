"""What the store keeps: plain rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


class SessionState(StrEnum):
    """Where a session stands. STARTING without a live `up` means that one was interrupted; `up` finishes it."""

    STARTING = "STARTING"
    RUNNING = "RUNNING"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One running instance of a lab for one learner on one runtime.

    `handle` is what the runtime needs to find it again; `fingerprint` changes when anything `up` depends on changes;
    `expires_at` is None for a session that never expires; times are UTC.
    """

    id: str
    lab: str
    lab_path: str
    learner: str
    runtime: str
    profile: str
    state: SessionState
    workspace: str
    created_at: datetime
    cohort: str | None = None
    expires_at: datetime | None = None
    idle_timeout_s: float | None = None
    handle: Mapping[str, Any] = field(default_factory=dict)
    gpus: tuple[Mapping[str, Any], ...] = ()
    """What it holds: uuid, name, memory_mib, sharing, total_mib. Read from the allocations; `put` does not write it."""
    fingerprint: str = ""
    detail: str = ""
    place: str = ""
    """Host and LABCTL_HOME that it lives in; empty in rows of older versions, which are this one's."""
    claimed_by: str = ""
    """Who works in it, where it was started for nobody yet: a cohort's reserved session keeps its name and its services."""
    why_ended: str = ""
    """`ended` when somebody has ended it, `expired` when its time was over; empty while it lives."""

    @property
    def person(self) -> str:
        """The learner who works in it."""
        return self.claimed_by or self.learner

    @property
    def live(self) -> bool:
        """Whether it may hold anything: processes, containers, GPUs."""
        return self.state is not SessionState.STOPPED

    def name_for(self, learner: str) -> str:
        """What `learner` types to mean this session: the lab's id for one's own, else the session's."""
        return self.lab if self.learner == learner else self.id

    def expired(self, now: datetime) -> bool:
        return self.live and self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One GPU of one session's allocation, from `since` until `released_at`: both what is held now, and the ledger.

    `purpose` is `session`, or `job` for what `labctl run` has borrowed; `place` the host and LABCTL_HOME that hold it. `memory_mib` is the share, `total_mib` the whole
    GPU's; None is unknown. What has been seen of its use is kept beside it: `active_at` when the learner last did
    something, `warned_at` when idleness was announced, `seen_at` the last look, `marker` what requests and
    processes there were then, `peak_memory_mib`, `busy_s` the seconds of full use, of `observed_s` seconds that were watched.
    """

    session: str
    lab: str
    learner: str
    uuid: str
    name: str
    sharing: str
    memory_mib: int | None = None
    total_mib: int | None = None
    purpose: str = "session"
    place: str = ""
    since: datetime
    released_at: datetime | None = None
    why_released: str = ""
    active_at: datetime | None = None
    warned_at: datetime | None = None
    seen_at: datetime | None = None
    marker: str = ""
    peak_memory_mib: int | None = None
    busy_s: float = 0.0
    observed_s: float = 0.0
    id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A session that waits for GPUs, first come first served within a `priority`; `seen_at` shows it still does."""

    session: str
    lab: str
    learner: str
    place: str
    need: Mapping[str, Any]
    priority: int = 0
    since: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A learner's best verification of a lab so far."""

    lab: str
    score: int
    max_score: int

    @property
    def passed(self) -> bool:
        return self.score == self.max_score


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One verification of a session: its points, of how many, what it came to, and of when its state is, in UTC: when it
    began, or a deadline. `id` is its report's in the store."""

    id: int
    score: int
    max_score: int
    outcome: str
    at: datetime

    @property
    def passed(self) -> bool:
        return self.outcome == "pass"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of the log of a class: who did what to whose work, begun `at` and ended `ended_at`.

    `outcome` is empty while it is being done, then `done` or `failed`; `words` say what came of it. `request` is what was
    asked beside; `key`, of the actor's choosing, lets them ask again and have it done once. `role` is instructor,
    learner or labctl.
    """

    at: datetime
    actor: str
    role: str
    action: str
    cohort: str
    learner: str
    lab: str = ""
    session: str = ""
    request: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None
    outcome: str = ""
    words: str = ""
    hint: str = ""
    ended_at: datetime | None = None
    id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What an instructor has written to one learner; `read_at` is when they have put it away, `entry` the log's about it."""

    at: datetime
    cohort: str
    learner: str
    sender: str
    text: str
    entry: int | None = None
    read_at: datetime | None = None
    id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Something that happened, on its way to `hook`: tried `attempts` times, next at `next_at`, which is None once it has
    arrived or is given up. `subject` is what happened, once for each hook. `status` is the last answer's, 0 for none."""

    hook: str
    event: str
    subject: str
    cohort: str
    at: datetime
    body: str
    next_at: datetime | None
    attempts: int = 0
    status: int = 0
    problem: str = ""
    delivered_at: datetime | None = None
    id: int = 0


def iso(moment: datetime) -> str:
    """UTC, to the second: 2026-11-21T20:40:00Z. Sorts as text."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> datetime:
    """The inverse of `iso`."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
