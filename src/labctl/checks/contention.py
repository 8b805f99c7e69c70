"""Whether the machine had room for what was measured on it: slow because of others is not slow.

What is asked is always how the machine is *while nothing is asked of the service*: in the pauses before, between and after
the repeats of a measurement. What is busy then are others, so that nobody has to know which processes belong to the session,
which on a container engine the grader cannot see. A burst shorter than a repeat spoils one repeat, and the best one counts;
a longer one is seen in a pause. Two figures, as each is blind where the other sees:

- the share of all CPU time that is in use, from the machine's counters: right on 2 cores as on 64, where one busy process
  leaves room enough. Load averages would count the measured service itself, and remember the last minute; so would
  /proc/pressure/cpu, which also tells of the service's own threads waiting for each other.
- the wall time of a short loop over its CPU time: a container's CPU limit and a busy host below a virtual machine do not
  show in those counters, but they stretch this.

GPUs are not looked at: labctl gives a session its own, or a share that is kept apart.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

import psutil

PAUSE_S = 0.25
"""Counters move in steps of 10 ms: 25 of them a core."""
SPIN_S = 0.03
"""CPU seconds; several of the scheduler's time slices, so that who has to share a core loses some."""
MAX_BUSY = 0.25
MAX_STRETCH = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The machine at one moment: `busy` is the share of its CPU time in use, 0 to 1, `stretch` wall over CPU seconds."""

    busy: float
    stretch: float

    @property
    def quiet(self) -> bool:
        """Whether there was room: less than a quarter in use, and a loop that runs at full speed."""
        return self.busy <= MAX_BUSY and self.stretch <= MAX_STRETCH

    def __str__(self) -> str:
        return (
            f"{self.busy:.0%} of its CPU time in use by others, a short loop {self.stretch:.1f} times as slow as alone"
        )


class Meter(Protocol):
    """Tells how busy the machine is."""

    def read(self) -> Reading:
        """The machine over the next moment, in which the caller asks nothing of any service."""
        ...


class Machine:
    """This machine. A reading takes 0.3 s."""

    def read(self) -> Reading:
        before = psutil.cpu_times()
        time.sleep(PAUSE_S)
        busy = _busy(before._asdict(), psutil.cpu_times()._asdict())
        return Reading(busy=busy, stretch=_stretch())


def _busy(before: dict[str, float], after: dict[str, float]) -> float:
    """The share of the time between that was not idle. Time of guests is within that of users on Linux."""
    spent = {name: after[name] - before[name] for name in after if not name.startswith("guest")}
    total = sum(spent.values())
    return 1 - (spent["idle"] + spent.get("iowait", 0.0)) / total if total > 0 else 0.0


def _stretch() -> float:
    wall, cpu = time.perf_counter(), time.thread_time()
    while time.thread_time() - cpu < SPIN_S:
        pass
    return (time.perf_counter() - wall) / (time.thread_time() - cpu)
