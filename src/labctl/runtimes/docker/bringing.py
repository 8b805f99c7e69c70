"""Bringing containers up: each in a thread of its own that waits for what it depends on, until it is healthy."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from labctl.errors import LabctlError, UnhealthyError
from labctl.progress import Progress, Step
from labctl.runtimes.docker.containers import Seen
from labctl.runtimes.docker.parts import INGRESS_NAME
from labctl.runtimes.turns import Turns, words
from labctl.units import format_duration

if TYPE_CHECKING:
    from labctl.runtimes.docker.session import Session

WITHOUT_CHECK_S = 30.0
JOB_S = 600.0
_FIRST_LOOK_S = 0.02  # then twice as long each time, up to the interval: most services are well within a moment
_ENDING_S = 5.0
_OPENING_S = 5.0
_POLL_S = 0.1
_SETTLED_S = 1.0
_CRASHES = 3
_LOG_LINES = 8


@dataclass(slots=True)
class Bringing:
    """One container on its way. `done` is set once it is ready or has failed; then `why` says why it failed, if it did."""

    name: str
    label: str
    check: Mapping[str, Any] | None
    needs: Mapping[str, str]
    """Part → the condition it must meet."""
    is_job: bool
    must_complete: bool
    settles: bool
    """Whether, without a health check, it must run for a moment before it counts."""
    started: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)
    why: str = ""
    is_new: bool = False

    @property
    def timeout_s(self) -> float:
        return float(self.check["timeout"]) if self.check else JOB_S if self.is_job else WITHOUT_CHECK_S


class Stopped(Exception):
    """Another thread has failed badly, or Ctrl-C was pressed: nothing more is begun."""


def bring_up(session: Session, every: Sequence[Bringing], turns: Turns, progress: Progress) -> list[str]:
    """Start and await all; the names of those started. Raises UnhealthyError after all that could be started has been."""
    try:
        _Run(session, every, turns, progress).finish()
    finally:
        turns.end()
    failed = [each for each in every if each.why]
    if failed:
        raise UnhealthyError("\n".join(_sentence(session, each) for each in failed), _hint(session, failed[0]))
    return [each.name for each in every if each.is_new]


class _Run:
    """The threads of one `up`. When one meets a broken engine, or Ctrl-C is pressed, the others begin nothing more."""

    def __init__(self, session: Session, every: Sequence[Bringing], turns: Turns, progress: Progress) -> None:
        self._session = session
        self._turns = turns
        self._by_name = {each.name: each for each in every}
        self._progress = progress
        self._stop = threading.Event()
        self._broken: list[Exception] = []
        self._threads = [threading.Thread(target=self._run, args=(each,), daemon=True) for each in every]

    def finish(self) -> None:
        for thread in self._threads:
            thread.start()
        try:
            for thread in self._threads:
                thread.join()
        except BaseException:
            self._stop.set()
            deadline = time.monotonic() + _ENDING_S
            for thread in self._threads:
                thread.join(timeout=max(0.0, deadline - time.monotonic()))
            raise
        if self._broken:
            raise next((error for error in self._broken if isinstance(error, LabctlError)), self._broken[0])

    def _run(self, each: Bringing) -> None:
        try:
            _bring(self._session, each, self._by_name, self._turns, self._stop, self._progress)
        except Stopped:
            pass
        except Exception as error:  # noqa: BLE001 - handed to the thread that waits
            self._broken.append(error)
            self._stop.set()
        finally:
            self._turns.give_back(each.name)
            each.started.set()
            each.done.set()


def _bring(
    session: Session,
    each: Bringing,
    by_name: Mapping[str, Bringing],
    turns: Turns,
    stop: threading.Event,
    progress: Progress,
) -> None:
    seen = session.container(each.name)
    if seen and _is_ready(session, each, seen, _complaint(session, each, by_name, stop)):
        progress(Step(name=each.label, state="unchanged"))
        return
    blocked = _await_needs(each, by_name, stop)
    if blocked:
        each.why = f"was not started, because {blocked} is not ready"
    else:
        if seen is not None and session.may_still_come(seen, each.timeout_s):
            turns.take(each.name)  # it runs already, turn or not
        else:
            _await_turn(each, turns, stop, progress)
            progress(Step(name=each.label, state="started"))
            session.start(each.name)
            each.is_new = True
        each.started.set()
        each.why = _await_healthy(session, each, stop)
    if each.why:
        progress(Step(name=each.label, state="failed", detail=each.why))
    else:
        progress(Step(name=each.label, state="done"))


def _complaint(session: Session, each: Bringing, by_name: Mapping[str, Bringing], stop: threading.Event) -> str:
    """What is wrong with a part that runs already. It is asked through the ingress: a new one gets a moment to open."""
    ingress = by_name.get(INGRESS_NAME)
    if each.check is None or ingress is None:
        return session.complaint(each.name)
    _await(ingress.done, stop)
    deadline = time.monotonic() + _OPENING_S if ingress.is_new else 0.0
    while (complaint := session.complaint(each.name)) and time.monotonic() < deadline:
        stop.wait(_POLL_S)
    return complaint


def _await_needs(each: Bringing, by_name: Mapping[str, Bringing], stop: threading.Event) -> str:
    """The first thing it needs that failed; empty when all are there."""
    for name, condition in each.needs.items():
        need = by_name.get(name)
        if need is None:
            continue
        _await(need.started if condition == "service_started" else need.done, stop)
        if need.why:
            return name
    if stop.is_set():
        raise Stopped
    return ""


def _await_turn(each: Bringing, turns: Turns, stop: threading.Event, progress: Progress) -> None:
    if uuid := turns.take(each.name):
        progress(Step(name=each.label, state="progress", detail=words(uuid)))
    while uuid:
        if stop.wait(_POLL_S):
            raise Stopped
        uuid = turns.take(each.name)


def _await(event: threading.Event, stop: threading.Event) -> None:
    while not event.wait(0.05):
        if stop.is_set():
            raise Stopped


def _await_healthy(session: Session, each: Bringing, stop: threading.Event) -> str:
    """Why it does not become ready; empty once it is."""
    longest = float(each.check["interval"]) if each.check else _POLL_S
    complaint, pause = "", min(_FIRST_LOOK_S, longest)
    while not stop.is_set():
        seen = session.look(each.name)
        if seen is None:
            return "its container was removed while it was starting"
        if seen.status == "running":
            complaint = session.complaint(each.name)
        if _is_ready(session, each, seen, complaint):
            return ""
        hopeless = _hopeless(each, seen)
        if hopeless:
            return hopeless
        left = session.left_s(seen, each.timeout_s)
        if left <= 0:
            return f"did not become healthy within {format_duration(each.timeout_s)}{complaint and ': ' + complaint}"
        stop.wait(min(pause, left))
        pause = min(2 * pause, longest)
    raise Stopped


def _is_ready(session: Session, each: Bringing, seen: Seen, complaint: str) -> bool:
    if each.is_job and seen.status == "exited":
        return seen.exit_code == 0
    if seen.status != "running" or complaint or each.must_complete:
        return False
    ready = each.check is not None or not each.settles or session.age_s(seen) >= _SETTLED_S
    if ready:
        session.remember_healthy(seen)
    return ready


def _hopeless(each: Bringing, seen: Seen) -> str:
    if seen.status in ("exited", "dead") and not (each.is_job and seen.exit_code == 0):
        return words_of_end(seen)
    if seen.status == "restarting" and seen.restarts >= _CRASHES:
        return f"does not stay up: {words_of_end(seen)}"
    return ""


def words_of_end(seen: Seen) -> str:
    """How a container that does not run came to its end."""
    if seen.oom_killed:
        return "was killed: it wanted more memory than it may have"
    return f"ended with exit code {seen.exit_code}{seen.error and ': ' + seen.error}"


def _sentence(session: Session, each: Bringing) -> str:
    lines = session.last_lines(each.name, _LOG_LINES)
    return "\n    ".join([f"service {each.name} {each.why}", *lines])


def _hint(session: Session, each: Bringing) -> str:
    lab = session.id.partition("--")[0]
    return f"`labctl logs {lab} {each.name}` shows all of its log; then `labctl up {lab}` again"
