"""What has been seen of a run so far: host by host, role by role. Values only; `events` makes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

FACTS = "facts"
"""Stands where a role's name does, for what a playbook does outside of roles: first of all asking machines what they are."""


class State(StrEnum):
    """How a role stands on a host. Unreachable is no failure of the role: nobody could look."""

    WAITING = "waiting"
    RUNNING = "running"
    OK = "ok"
    CHANGED = "changed"
    SKIPPED = "skipped"
    FAILED = "failed"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A task that failed, or a host that did not answer. `place` is the task's `file:line`."""

    host: str
    role: str
    task: str
    message: str
    place: str = ""
    unreachable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a task changed, or would change in check mode. `diff` is empty when it shows none; `said` is what a task that is
    there to tell it says."""

    task: str
    diff: str = ""
    said: str = ""

    @property
    def words(self) -> str:
        return self.said or self.task


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One role on one host. `ignored` are failures that the playbook took for none; `rescued` says that it mended `failed`."""

    ok: int = 0
    skipped: int = 0
    changes: tuple[Change, ...] = ()
    failed: tuple[Trouble, ...] = ()
    ignored: tuple[Trouble, ...] = ()
    rescued: bool = False

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """The failures that count, in the order in which they came: first the cause, then what a rescue says of it."""
        return () if self.rescued else self.failed

    @property
    def forgiven(self) -> tuple[Trouble, ...]:
        """The failures that do not."""
        return (*self.ignored, *self.failed) if self.rescued else self.ignored

    @property
    def state(self) -> State:
        """How it stands once the role is over."""
        if self.troubles:
            return State.UNREACHABLE if self.troubles[-1].unreachable else State.FAILED
        if self.changes:
            return State.CHANGED
        return State.OK if self.ok or self.forgiven or not self.skipped else State.SKIPPED


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One machine: its roles in the order in which it met them, and what it is doing."""

    name: str
    parts: Mapping[str, Part] = field(default_factory=dict)
    role: str = ""
    task: str = ""
    note: str = ""
    """Of the task: what it waits for."""

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        return tuple(trouble for part in self.parts.values() for trouble in part.troubles)

    @property
    def state(self) -> State:
        """Of the host as a whole, once the run is over."""
        states = {part.state for part in self.parts.values()}
        order = (State.UNREACHABLE, State.FAILED, State.CHANGED, State.OK, State.SKIPPED)
        return next((state for state in order if state in states), State.WAITING)

    def changes(self) -> Iterator[tuple[str, Change]]:
        """Every change with its role."""
        return ((role, change) for role, part in self.parts.items() for change in part.changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A whole run. `roles` in the order in which they came up; `over` when Ansible has counted what became of its hosts.

    `known` are the playbook's own roles: what they take in from others is counted as theirs. Empty for a playbook that has none.
    """

    known: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    hosts: Mapping[str, Host] = field(default_factory=dict)
    over: bool = False
    said: tuple[str, ...] = ()
    """The last lines that belong to no task: what Ansible says when it cannot begin."""

    def state(self, host: str, role: str) -> State:
        """How `role` stands on `host` at this moment."""
        machine = self.hosts[host]
        part = machine.parts.get(role)
        if part is None:
            return State.WAITING
        under_way = not self.over and machine.role == role
        return State.RUNNING if under_way and not part.troubles else part.state

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        return tuple(trouble for host in self.hosts.values() for trouble in host.troubles)

    def named(self, *states: State) -> tuple[str, ...]:
        """The hosts in one of these states."""
        return tuple(name for name, host in self.hosts.items() if host.state in states)
