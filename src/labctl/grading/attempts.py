"""Checks looked at side by side: each within its time, again while its retry budget lasts, none able to stop the others."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count

from labctl.checks.base import BaseCheck
from labctl.outcomes import CheckResult, Outcome
from labctl.target import Target

GRACE_S = 2.0
"""How long after its own timeout a check may still be busy with ending what it started."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 2.0

Key = tuple[str, int]


@dataclass
class _Job:
    """A check on its way to its result. Times are the clock's."""

    key: Key
    check: BaseCheck
    look: int = 0
    """Which look it is part of; checks that share something are settled by one."""
    attempts: int = 0
    first_at: float = 0.0
    deadline: float = 0.0
    next_at: float = 0.0
    pause_s: float = FIRST_PAUSE_S


class Attempts:
    """Checks in flight. Each look has a daemon thread of its own, so that one that hangs can be left behind; what is ready at
    the same time and shares something is one look, with all their time.

    At most `workers` run at once, at most `cores` of those that compute, and one that is to be alone runs alone. Only
    `next_result` makes progress, and only in the thread that calls it.
    """

    def __init__(
        self, target: Target, *, workers: int, cores: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._target, self._workers, self._clock = target, workers, clock
        self._cores = cores or os.cpu_count() or 1
        self._ready: deque[_Job] = deque()
        self._pausing: list[_Job] = []
        self._running: dict[Key, _Job] = {}
        self._looks = count(1)
        self._answers: queue.SimpleQueue[tuple[_Job, int, CheckResult]] = queue.SimpleQueue()

    def add(self, key: Key, check: BaseCheck) -> None:
        self._ready.append(_Job(key=key, check=check))

    def pending(self) -> bool:
        """Whether there is a check without its result."""
        return bool(self._ready or self._pausing or self._running)

    def next_result(self) -> tuple[Key, CheckResult]:
        """Wait for the next check that is settled: it passed, its retry budget is spent, or it was left behind."""
        while True:
            self._start_what_may()
            answer = self._wait()
            settled = self._taken(*answer) if answer else self._overdue()
            if settled:
                return settled

    def _start_what_may(self) -> None:
        now = self._clock()
        self._ready += [job for job in self._pausing if job.next_at <= now]
        self._pausing = [job for job in self._pausing if job.next_at > now]
        while job := next((job for job in self._ready if self._may_start(job.check)), None):
            shares = job.check.shares
            together = [job] if shares is None else [other for other in self._ready if other.check.shares == shares]
            for each in together:
                self._ready.remove(each)
            self._start(together, now)

    def _may_start(self, check: BaseCheck) -> bool:
        """Whether there is room for it beside those that run. One that is to be alone waits until the others are through."""
        running = list({job.look: job.check for job in self._running.values()}.values())
        if any(other.alone for other in running) or (check.alone and (running or not self._is_last(check))):
            return False
        computing = sum(other.computes for other in running)
        return len(running) < self._workers and not (check.computes and computing >= self._cores)

    def _is_last(self, check: BaseCheck) -> bool:
        """Whether nothing but checks that are to be alone is left to start now."""
        return all(job.check.alone for job in self._ready if job.check is not check)

    def _start(self, jobs: Sequence[_Job], now: float) -> None:
        look, limit_s = next(self._looks), sum(job.check.timeout for job in jobs)
        for job in jobs:
            job.look = look
            job.first_at = job.first_at if job.attempts else now
            job.attempts += 1
            job.deadline = now + limit_s + GRACE_S
            self._running[job.key] = job
        arguments = [(job, job.attempts) for job in jobs]
        names = ", ".join(f"{id} {number}" for id, number in (job.key for job in jobs))
        threading.Thread(target=self._attempt, args=(arguments,), name=f"check {names}", daemon=True).start()

    def _attempt(self, jobs: Sequence[tuple[_Job, int]]) -> None:
        results = observe_all([job.check for job, _ in jobs], self._target)
        for (job, attempt), result in zip(jobs, results, strict=True):
            self._answers.put((job, attempt, result))

    def _wait(self) -> tuple[_Job, int, CheckResult] | None:
        """The next answer, or None once something else is due: a deadline, or the end of a pause."""
        due = [job.deadline for job in self._running.values()]
        if len(self._running) < self._workers:
            due += [job.next_at for job in self._pausing]
        try:
            return self._answers.get(timeout=max(0.0, min(due) - self._clock()))
        except queue.Empty:
            return None

    def _taken(self, job: _Job, attempt: int, result: CheckResult) -> tuple[Key, CheckResult] | None:
        if self._running.get(job.key) is not job or job.attempts != attempt:
            return None  # it was left behind, and its outcome is told already
        del self._running[job.key]
        now = self._clock()
        if result.outcome is not Outcome.PASS and now + job.pause_s <= job.first_at + job.check.retry:
            job.next_at = now + job.pause_s
            job.pause_s = min(2 * job.pause_s, LONGEST_PAUSE_S)
            self._pausing.append(job)
            return None
        return job.key, replace(result, attempts=job.attempts, duration_s=now - job.first_at)

    def _overdue(self) -> tuple[Key, CheckResult] | None:
        """A check that does not come back is left behind at once: it would hang again, holding what it holds."""
        now = self._clock()
        job = next((job for job in self._running.values() if job.deadline <= now), None)
        if job is None:
            return None
        del self._running[job.key]
        result = job.check.unseen(f"still running after {now - job.first_at:.0f} s")
        return job.key, replace(result, attempts=job.attempts, duration_s=now - job.first_at)


def observe(check: BaseCheck, target: Target) -> CheckResult:
    """One attempt, whatever it comes to; never raises."""
    return observe_all([check], target)[0]


def observe_all(checks: Sequence[BaseCheck], target: Target) -> list[CheckResult]:
    """One attempt at each of `checks`, which share something or are one; never raises."""
    try:
        looks = type(checks[0]).looks_at(checks, target)
    except BaseException as error:  # noqa: BLE001 whatever a check does, the others are still looked at
        return [check.raised(error) for check in checks]
    return [_seen(check, look) for check, look in zip(checks, looks, strict=True)]


def _seen(check: BaseCheck, look: Callable[[], CheckResult]) -> CheckResult:
    try:
        return look()
    except BaseException as error:  # noqa: BLE001 as above
        return check.raised(error)
