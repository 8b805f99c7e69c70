"""Which one thing, changed, would give everybody a session at once. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from labctl.cohorts.rounds import Host, Round, cpus_of, plan_round
from labctl.gpus.allocation import Pool
from labctl.gpus.inventory import Gpu, SharingMode
from labctl.gpus.need import MEANS
from labctl.units import format_mib

if TYPE_CHECKING:
    from labctl.cohorts.rounds import LabNeed
    from labctl.cohorts.spec import Cohort

GIB = 1024
MOST_GPUS = 256
_SHARED: tuple[SharingMode, ...] = ("timeslice", "mps", "mig")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change, in words. `edit` is what to write into the cohort file; empty when it is the machine that must change."""

    what: str
    edit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Try:
    change: Change
    cohort: Cohort
    host: Host


def plan_rounds(cohort: Cohort, learners: Sequence[str], labs: Sequence[LabNeed], host: Host) -> tuple[Round, ...]:
    """Lab after lab, each with the disk that those before it have left."""
    left, rounds = host.disk_mib, []
    for lab in labs:
        rounds.append(plan_round(cohort, learners, lab, host, left))
        left = max(0, left - rounds[-1].disk_mib)
    return tuple(rounds)


def changes(
    cohort: Cohort, learners: Sequence[str], labs: Sequence[LabNeed], host: Host, rounds: Sequence[Round]
) -> tuple[Change, ...]:
    """Every single change with which all learners have a session of each lab at once; those of the file first.

    Where no single one does, a machine that is larger in several ways. Each has been tried by planning with it.
    """
    if all(each.all_at_once for each in rounds):
        return ()
    tries = [*_of_the_file(cohort, len(learners), rounds, host), *_of_the_machine(cohort, len(learners), rounds, host)]
    found = [each.change for each in tries if _seats_all(each, learners, labs)]
    if found:
        return tuple(found)
    larger = _larger(cohort, len(learners), rounds, host)
    return (larger.change,) if larger and _seats_all(larger, learners, labs) else ()


def _seats_all(attempt: _Try, learners: Sequence[str], labs: Sequence[LabNeed]) -> bool:
    return all(each.all_at_once for each in plan_rounds(attempt.cohort, learners, labs, attempt.host))


def _of_the_file(cohort: Cohort, learners: int, rounds: Sequence[Round], host: Host) -> Iterator[_Try]:
    def edited(edit: str, why: str = "", **fields: object) -> _Try:
        change = Change(what=f"`{edit}`{f': {why}' if why else ''}", edit=edit)
        return _Try(change=change, cohort=cohort.model_copy(update=fields), host=host)

    wanted = learners + cohort.sessions.reserved
    if cohort.sessions.maximum is not None and cohort.sessions.maximum < wanted:
        sessions = cohort.sessions.model_copy(update={"maximum": wanted})
        yield edited(f"sessions: {{maximum: {wanted}}}", sessions=sessions)
    if cohort.sessions.reserved:
        sessions = cohort.sessions.model_copy(update={"reserved": 0})
        yield edited("sessions: {reserved: 0}", "nobody's sessions are not kept", sessions=sessions)
    if any(each.size.gpu for each in rounds):
        for mode in _SHARED:
            gpu = cohort.gpu.model_copy(update={"sharing": mode})
            yield edited(f"gpu: {{sharing: {mode}}}", MEANS[mode], gpu=gpu)
        yield edited("profile: cpu", "the small size, without GPUs", profile="cpu")
    else:
        yield edited("profile: gpu", "the large size", profile="gpu")
    needed = max(each.size.memory_mib for each in rounds)
    if cohort.limits.memory is not None and cohort.limits.memory < needed:
        limits = cohort.limits.model_copy(update={"memory": needed})
        yield edited(f"limits: {{memory: {format_mib(needed).replace(' ', '')}}}", limits=limits)
    cores = wanted * max(cpus_of(cohort, each.size) for each in rounds)
    often = math.ceil(cores / host.cores) if host.cores > 0 else math.inf
    if cohort.overcommit < often <= 100:
        yield edited(f"overcommit: {often}", "sessions share each core", overcommit=float(often))


def _of_the_machine(cohort: Cohort, learners: int, rounds: Sequence[Round], host: Host) -> Iterator[_Try]:
    memory_mib, cores, disk_mib = _missing(cohort, learners, rounds, host)
    if memory_mib:
        more = replace(host, memory_mib=host.memory_mib + memory_mib)
        yield _Try(change=Change(what=f"{format_mib(memory_mib)} more memory"), cohort=cohort, host=more)
    if cores:
        more = replace(host, cores=host.cores + cores)
        yield _Try(change=Change(what=f"{cores} more CPU cores"), cohort=cohort, host=more)
    if disk_mib:
        more = replace(host, disk_mib=host.disk_mib + disk_mib)
        yield _Try(change=Change(what=f"{format_mib(disk_mib)} more disk"), cohort=cohort, host=more)
    added = _more_gpus(cohort, learners, rounds, host)
    if added:
        more = replace(host, inventory=replace(host.inventory, gpus=(*host.inventory.gpus, *added)))
        what = f"{len(added)} more GPU{'' if len(added) == 1 else 's'} like {added[0].name}"
        yield _Try(change=Change(what=what), cohort=cohort, host=more)


def _larger(cohort: Cohort, learners: int, rounds: Sequence[Round], host: Host) -> _Try | None:
    """Everything that the machine lacks, at once."""
    tries = list(_of_the_machine(cohort, learners, rounds, host))
    if not tries:
        return None
    machine = replace(
        host,
        memory_mib=max(each.host.memory_mib for each in tries),
        cores=max(each.host.cores for each in tries),
        disk_mib=max(each.host.disk_mib for each in tries),
        inventory=max((each.host.inventory for each in tries), key=lambda inventory: len(inventory.gpus)),
    )
    *first, last = (each.change.what for each in tries)
    what = f"{', '.join(first)} and {last}, together" if first else last
    return _Try(change=Change(what=what), cohort=cohort, host=machine)


def _missing(cohort: Cohort, learners: int, rounds: Sequence[Round], host: Host) -> tuple[int, int, int]:
    """MiB of memory, CPU cores and MiB of disk that are lacking; whole GiB, as machines are sold."""
    wanted = learners + cohort.sessions.reserved
    memory_mib = max(wanted * each.size.memory_mib for each in rounds) - host.memory_mib
    cores = max(wanted * cpus_of(cohort, each.size) for each in rounds) / cohort.overcommit - host.cores
    disk_mib = sum(each.disk_mib for each in rounds) - host.disk_mib
    return _whole_gib(memory_mib), max(0, math.ceil(cores - 1e-9)), _whole_gib(disk_mib)


def _whole_gib(mib: int) -> int:
    return max(0, math.ceil(mib / GIB)) * GIB


def _more_gpus(cohort: Cohort, learners: int, rounds: Sequence[Round], host: Host) -> tuple[Gpu, ...]:
    """As many more of the largest GPU here as the round needs that lacks most of them; none where that is no way out."""
    sound = [gpu for gpu in host.inventory.gpus if gpu.uuid and gpu.health.ok and gpu.memory_total_mib]
    lacking = [
        (learners + cohort.sessions.reserved - each.bounds["gpus"], each) for each in rounds if "gpus" in each.bounds
    ]
    missing, worst = max(lacking, key=lambda item: item[0], default=(0, None))
    if not sound or worst is None or missing <= 0 or worst.size.gpu is None:
        return ()
    need = cohort.gpu.need(worst.size.gpu)
    model = max(sound, key=lambda gpu: gpu.memory_total_mib or 0)
    group = tuple(_another(model, number) for number in range(need.count))
    pool = Pool(replace(host.inventory, gpus=group))
    carries = 0
    while carries < missing and pool.take(need, f"seat {carries}"):
        carries += 1
    count = math.ceil(missing / carries) * need.count if carries else 0
    return tuple(_another(model, number) for number in range(count)) if count <= MOST_GPUS else ()


def _another(gpu: Gpu, number: int) -> Gpu:
    """A GPU of the same kind that nobody uses."""
    slices = tuple(
        replace(part, uuid=f"more-{number}-{at}", memory_free_mib=part.memory_total_mib, processes=())
        for at, part in enumerate(gpu.mig)
    )
    return replace(
        gpu,
        index=1000 + number,
        uuid=f"more-{number}",
        memory_free_mib=gpu.memory_total_mib,
        mig=slices,
        processes=(),
    )
