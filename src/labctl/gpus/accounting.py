"""What the driver has on its account for the processes of its GPUs."""

from __future__ import annotations

from dataclasses import dataclass

from labctl.gpus.driver import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounted:
    """One process's use of one GPU. None means that the driver does not say.

    `utilization_percent` is the share of its lifetime in which at least one of its kernels ran; `time_ms` is that
    lifetime and 0 while it runs; `started_us` counts since 1970. Process numbers are the host's and are given again to
    others: `started_us` tells them apart.
    """

    uuid: str
    pid: int
    max_memory_mib: int | None = None
    utilization_percent: int | None = None
    time_ms: int = 0
    started_us: int = 0
    running: bool = False


def of_answer(answer: Answer) -> list[Accounted]:
    """The accounts that came in time, GPU by GPU."""
    return [
        Accounted(uuid=line["uuid"], **entry)
        for line in answer.lines
        if "accounted" in line
        for entry in line["accounted"]
    ]
