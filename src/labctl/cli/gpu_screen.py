"""GPUs on paper: what `gpu list` prints, and `gpu watch` where nothing can be redrawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from labctl.cli import screen
from labctl.cli.table import Cell
from labctl.reports.plain import one_line
from labctl.units import format_mib

if TYPE_CHECKING:
    from labctl.gpus.inventory import Gpu, GpuProcess, Inventory, SharingMode
    from labctl.sessions.inventory import Part, Row, Use, View
    from labctl.store.records import Waiting

NOTHING = "–"
HELD = "held by"
"""So begins the reason why a GPU that somebody holds is not to be had; who holds it is told below anyway."""
UNKNOWN = "?"
_NAME = 10
"""So much of a learner's name stands in the table."""
_LEVELS = {"nvlink": "NVLink", "board": "one board", "switch": "one PCIe switch"}
"""Links worth a word; whatever is farther apart goes through the processor."""
_COLUMNS = ("GPU", "NAME", "FREE", "USE", "CC", "HEALTH", "HELD BY", "USABLE")


def show(view: View) -> None:
    """Everything there is to say, on stdout."""
    inventory = view.inventory
    if not view.rows:
        screen.line(inventory.problem or f"{inventory.source} knows no GPU")
        _show_waiting(view)
        return
    screen.line(Cell(head(view), "dim"))
    screen.table(_COLUMNS, [cells for row in view.rows for cells in _cells(row)], right=("FREE", "USE"))
    _show_lines([line for row in view.rows for line in labelled(f"GPU {row.gpu.index}", details(row))])
    _show_waiting(view)
    _show_lines([*labelled("links", links(inventory)), *labelled("note", meanings(view))])


def head(view: View) -> str:
    """Who was asked, in a line."""
    inventory = view.inventory
    mps = " · MPS runs" if inventory.mps else ""
    return f"driver {inventory.driver or 'unknown'} · CUDA {inventory.cuda or 'unknown'} · {inventory.source}{mps}"


def short(name: str) -> str:
    """A GPU's name without the maker's, which all of them share."""
    return name.removeprefix("NVIDIA ")


def health(gpu: Gpu) -> Cell:
    """A word for it; its reasons are told elsewhere."""
    if not gpu.health.ok:
        return Cell("ill", "red")
    return Cell("warns", "yellow") if gpu.health.reasons else Cell("ok", "green")


def holder(use: Use) -> str:
    """`alice/stage2-finetune 16 GiB, shared in turns, until 16:40`, and what is known of its use."""
    held = use.held
    share = f" {format_mib(held.memory_mib)}" if held.memory_mib is not None else ""
    facts = [f"{held.learner}/{held.lab}{share}", how(held.sharing)]
    if held.purpose == "job":
        facts.append("for one job")
    elif use.until:
        facts.append(f"until {clock(use.until)}")
    if use.used_mib is not None:
        facts.append(f"uses {format_mib(use.used_mib)}")
    if held.warned_at:
        facts.append(f"idle, warned at {clock(held.warned_at)}")
    return ", ".join(facts)


def how(sharing: str) -> str:
    """The way a GPU is held, in a few words: `shared in turns`."""
    from labctl.gpus.need import MEANS

    mode: SharingMode = sharing  # type: ignore[assignment]  # written by us
    return MEANS[mode].partition(":")[0]


def stranger(process: GpuProcess) -> str:
    """Somebody on a GPU who holds none of it."""
    facts = [f"pid {process.pid}", f"of {process.owner}" if process.owner else "owner unknown"]
    if process.memory_mib is not None:
        facts.append(format_mib(process.memory_mib))
    if process.session:
        whose = f", of {process.session}, which does not hold it"
    else:  # of an unknown owner it cannot be said that it is not a holder's
        whose = ", outside labctl" if process.owner else ""
    return f"in use by {process.name or 'a process'} ({', '.join(facts)}){whose}"


def places(view: View) -> Iterator[Cell]:
    """The line: `1. bob/stage1-serve since 16:02 (16 GiB)`."""
    return (Cell(_in_line(place, each)) for place, each in enumerate(view.waiting, start=1))


def meanings(view: View) -> Iterator[Cell]:
    """What sharing means, for each way in which something is shared now."""
    from labctl.gpus.need import GIVES, MEANS

    shared = {use.held.sharing for row in view.rows for use in row.uses}
    return (Cell(MEANS[mode], "dim") for mode in MEANS if mode in shared and GIVES[mode] != "hard")


def clock(moment: datetime) -> str:
    """The time of day here."""
    return f"{moment.astimezone():%H:%M}"


def held_by(part: Part) -> str:
    """One name, and how many more there are; the lines below tell the rest."""
    learners = list(dict.fromkeys(use.held.learner for use in part.uses))
    if not learners:
        return "others" if part.strangers else NOTHING
    more = f" +{len(part.uses) - 1}" if len(part.uses) > 1 else ""
    return one_line(learners[0], _NAME - len(more)) + more


def free_of(free_mib: int | None, total_mib: int | None) -> str:
    """`63 of 80 GiB`; a question mark for what is not known."""
    if total_mib is None:
        return UNKNOWN
    total = _size(total_mib, round)
    free = UNKNOWN if free_mib is None else _size(free_mib, math.floor) if free_mib else "0"
    return f"{free.removesuffix(' ' + total.split()[1])} of {total}"


def details(row: Row) -> Iterator[Cell]:
    """Lines below the table: why nobody can have it, what is wrong with it, and who is on it."""
    if row.why_not is not None and not (row.whole.uses and row.why_not.startswith(HELD)):
        yield Cell(row.why_not, "yellow")
    elif row.gpu.health.reasons:
        yield Cell("; ".join(row.gpu.health.reasons), "yellow")
    for part in row.parts:
        label = f"{part.mig.profile or 'MIG slice'}: " if part.mig else ""
        yield from (Cell(f"{label}{holder(use)}") for use in part.uses)
        yield from (Cell(f"{label}{stranger(process)}", "dim") for process in part.strangers or ())


def links(inventory: Inventory) -> Iterator[Cell]:
    """`NVLink: 0-1, 2-3`, for each kind of link that is fast."""
    indexes = {gpu.uuid: gpu.index for gpu in inventory.gpus}
    for level, words in _LEVELS.items():
        pairs = {
            tuple(sorted((indexes[link.a], indexes[link.b])))
            for link in inventory.links
            if link.level == level and link.a in indexes and link.b in indexes
        }
        if pairs:
            yield Cell(f"{words}: {', '.join(_groups(pairs))}", "dim")
    if inventory.links and not any(link.level in _LEVELS for link in inventory.links):
        yield Cell("no two GPUs share NVLink or a PCIe switch: what they send goes through the processor", "dim")


def labelled(label: str, cells: Iterable[Cell]) -> Iterator[tuple[Cell, Cell]]:
    """Lines of which the first bears the label."""
    for number, cell in enumerate(cells):
        yield Cell("" if number else label, "bold"), cell


def _cells(row: Row) -> Iterator[tuple[Cell, ...]]:
    gpu, use = row.gpu, row.gpu.sensors.utilization_percent
    usable = row.why_not is None
    yield (
        Cell(str(gpu.index)),
        Cell(short(gpu.name), "bold"),
        Cell(free_of(gpu.memory_free_mib, gpu.memory_total_mib)),
        Cell(UNKNOWN if use is None else f"{use}%"),
        Cell(gpu.compute_capability or UNKNOWN),
        health(gpu),
        Cell("" if row.slices else held_by(row.whole)),
        Cell("yes", "green") if usable else Cell("no", "yellow"),
    )
    for part in row.slices:
        if part.mig is not None:
            name = Cell(f"└ {part.mig.profile or 'MIG slice'}")
            free = Cell(free_of(part.mig.memory_free_mib, part.mig.memory_total_mib))
            yield (Cell(""), name, free, Cell(""), Cell(""), Cell(""), Cell(held_by(part)), Cell(""))


def _size(mib: int, whole: Callable[[float], int]) -> str:
    """Without a fraction of a GiB where there are many: the table is to fit into 80 columns."""
    return f"{whole(mib / 1024)} GiB" if mib >= 10 * 1024 else format_mib(mib)


def _show_waiting(view: View) -> None:
    _show_lines(list(labelled("waits", places(view))))


def _show_lines(lines: Sequence[tuple[Cell, Cell]]) -> None:
    """Below a blank line; what is too long goes on beneath itself."""
    if lines:
        screen.line()
        screen.table(("", ""), lines)


def _groups(pairs: set[tuple[int, ...]]) -> list[str]:
    """GPUs that are all linked with each other as one group; the biggest group that holds the first pair, and so on."""
    groups, left = [], sorted(pairs)
    while left:
        group = list(left[0])
        for other in sorted({index for pair in left for index in pair} - set(group)):
            if all(tuple(sorted((other, each))) in pairs for each in group):
                group.append(other)
        inside = {(a, b) for a in group for b in group}
        left = [pair for pair in left if (pair[0], pair[1]) not in inside]
        groups.append("-".join(map(str, sorted(group))))
    return groups


def _in_line(place: int, waiting: Waiting) -> str:
    from labctl.sessions.queue import purpose_of

    need: dict[str, Any] = dict(waiting.need)
    count, memory = int(need.get("count") or 1), need.get("memory_mib")
    asked = [*([f"{count} GPUs"] if count > 1 else []), *([format_mib(memory)] if memory else [])]
    job = ", for one job" if purpose_of(waiting) == "job" else ""
    first = f", priority {waiting.priority}" if waiting.priority else ""
    size = f" ({', '.join(asked)})" if asked else ""
    return f"{place}. {waiting.learner}/{waiting.lab} since {clock(waiting.since)}{size}{job}{first}"
