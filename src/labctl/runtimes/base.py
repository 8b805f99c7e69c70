"""What a runtime is: the small contract that `labctl.sessions` speaks, whatever runs the lab."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from labctl.progress import Progress

if TYPE_CHECKING:  # the models behind these cost 0.3 s to load, which a second `up` and `status` need not pay
    from labctl.gpus.inventory import HeldGpu, Inventory
    from labctl.labs.lab import Lab
    from labctl.plan import Layout, Plan
    from labctl.runtimes.workspace import Workspace
    from labctl.target import Target

Handle = Mapping[str, Any]
"""What a runtime needs to find a session again: JSON values, always with `session`."""


class State(StrEnum):
    """Where a service stands. `EXITED` means it ended with 0, as a one-off job should."""

    STARTING = "starting"
    RUNNING = "running"
    UNHEALTHY = "unhealthy"
    FAILED = "failed"
    EXITED = "exited"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceState:
    """A service as the engine sees it now. `url` is None when it has no port; `reason` is empty when all is well."""

    name: str
    state: State
    url: str | None = None
    ports: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a plan cannot run here, and what would mend it."""

    what: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The outcome of `up`. `changed` names what was created, replaced or removed; empty when there was nothing to do."""

    handle: Handle
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Remain:
    """Something on the engine that bears labctl's label, for `gc`. `expires_at` is ISO 8601, None when it has none."""

    session: str
    what: str
    expires_at: str | None = None


class Runtime(Protocol):
    """One way to run a lab. `up` and `down` may be called again at any time; `down` of what is gone succeeds."""

    name: str
    trust: Literal["self", "host", "cluster"]
    schedules: bool
    """Whether the engine itself finds GPUs for what asks for them, and lets it wait: labctl then chooses none and keeps no account."""

    def layout(self, lab: Lab, session: str, workspace: Path) -> Layout:
        """Where the session's parts will be. The same answer as long as the session lives (ports are kept)."""
        ...

    def workspace(self, handle: Handle) -> Workspace | None:
        """Where the session's files are kept; None when that is the folder of this host which its plan names."""
        ...

    def gpus(self) -> Inventory:
        """The GPUs that this runtime's engine has."""
        ...

    def preflight(self, plan: Plan) -> list[Problem]:
        """Everything that keeps the plan from running here; an empty list when nothing does."""
        ...

    def changes(self, plan: Plan) -> list[str]:
        """What `up` would make, replace or start now, in words; an empty list when the session runs as planned."""
        ...

    def up(self, plan: Plan, progress: Progress, *, expires_at: str | None = None) -> Started:
        """Bring the session to its plan. Raises UnhealthyError (service), PreflightError (environment), EngineError."""
        ...

    def state(self, handle: Handle, *, probe: bool = True) -> list[ServiceState]:
        """Each service of the session as it is now, in the plan's order; `probe` asks the health checks too."""
        ...

    def target(self, handle: Handle) -> Target:
        """The session as checks see it."""
        ...

    def judge(
        self, handle: Handle, criteria: Sequence[Mapping[str, Any]], only: Sequence[str]
    ) -> Iterator[Mapping[str, Any]] | None:
        """Have the criteria judged where the session is, by a process that learners cannot reach; what it says, as it comes:
        `attempt` and `because` when it begins, `criterion` for each that is settled, `done` at the end. None: judge from here.
        """
        ...

    def logs(
        self, handle: Handle, service: str, *, follow: bool = False, since_s: float | None = None
    ) -> Iterator[str]:
        """Lines of a service's log, oldest first; with `follow` it goes on until the caller stops or the service ends."""
        ...

    def exec(self, handle: Handle, command: Sequence[str], *, service: str | None = None) -> int:
        """Run `command` with this process's terminal, in the workspace or in a service; its exit code."""
        ...

    def run(self, handle: Handle, command: Sequence[str], gpus: Sequence[HeldGpu]) -> int:
        """Run `command` as `exec` does in the workspace, with `gpus` for as long as it runs; its exit code.

        Nothing of it is left when this returns, or when the process that called it has died.
        """
        ...

    def end_jobs(self, handle: Handle) -> bool:
        """End what is left of `run`s whose labctl has died; whether no job is left. Those that still have their labctl, or
        are being ended by its guard, go on; ending again does nothing.
        """
        ...

    def shell(self, handle: Handle, *, service: str | None = None) -> int:
        """An interactive shell on this process's terminal, in the workspace or in a service; its exit code."""
        ...

    def requests(self, handle: Handle) -> str:
        """Another text whenever somebody has made a request to the session's services since the last time; "" is none.

        What the session's own parts and labctl's health checks ask does not count.
        """
        ...

    def withdraw_gpus(self, handle: Handle, progress: Progress) -> Handle:
        """End what uses the session's GPUs and leave the rest running: services without a GPU, workspace, files.

        The new handle; the session's next `up` starts again what was ended. Withdrawing twice does nothing more.
        """
        ...

    def end_services(self, handle: Handle, names: Sequence[str], progress: Progress) -> None:
        """End these services with all that they started, and what they wrote to their logs; the rest runs on.

        The session's next `up` starts them again. Ending what does not run does nothing more.
        """
        ...

    def secrets(self, handle: Handle) -> Mapping[str, str]:
        """The passwords and tokens that were made up for the session, by name."""
        ...

    def set_expiry(self, handle: Handle, expires_at: str | None) -> None:
        """Tell whatever ends sessions on the engine without us that this one now ends then, ISO 8601; nothing where there is none.

        The session must have been up.
        """
        ...

    def down(self, handle: Handle, progress: Progress) -> None:
        """End everything of the session and remove what `up` made, except the workspace."""
        ...

    def remains(self) -> list[Remain]:
        """Everything on the engine that bears labctl's label."""
        ...
