"""Which GPUs to set aside for somebody who waits. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from labctl.gpus.inventory import Holding, SharingMode
from labctl.gpus.need import Need, modes
from labctl.gpus.parts import SHARED, UNKNOWN_MIB, Kept, Part, possible, would_fit

Ready = tuple[float, int, int]
"""When a GPU can serve at the latest; how many must leave for it of whom nobody knows when they will; and how many must."""
NOW: Ready = (-math.inf, 0, 0)


@dataclass(frozen=True, slots=True)
class Turn:
    """When a part can serve, once the sessions `leaving` have left it."""

    ready: Ready
    leaving: tuple[str, ...] = ()


def soonest(parts: Sequence[Part], need: Need, session: str, *, mps: bool) -> list[tuple[Part, Kept]]:
    """The `need.count` parts that can all serve first, and what to set aside of them for `session`; empty where not
    even everybody's leaving would help.

    While nobody gets on them who would be in the way, the answer only changes for something sooner: whoever waits is
    served in the end.
    """
    best: tuple[Ready, list[tuple[Part, Kept]]] | None = None
    for mode in modes(need.sharing, need.isolation):
        turns = _turns(parts, need, mode, mps=mps)
        if len(turns) >= need.count and (best is None or turns[-1][1].ready < best[0]):
            best = turns[-1][1].ready, [(part, _kept(turn, need, mode, session)) for part, turn in turns]
    return best[1] if best else []


def _turns(parts: Sequence[Part], need: Need, mode: SharingMode, *, mps: bool) -> list[tuple[Part, Turn]]:
    turns = [(part, turn) for part in parts if (turn := _turn(part, need, mode, mps=mps)) is not None]
    return sorted(turns, key=lambda each: (each[1].ready, each[0].order))[: need.count]


def _turn(part: Part, need: Need, mode: SharingMode, *, mps: bool) -> Turn | None:
    """When `part` can serve `need` in `mode`, if those who hold it stay as long as they may; None for never."""
    if not possible(part, need, mode, mps=mps):
        return None
    if would_fit(part, need, mode, (), mps=mps):
        return Turn(NOW)
    leaving: list[str] = []
    unknown = 0
    for holder in sorted(part.holders, key=_leaves):
        leaving.append(holder.session)
        unknown += holder.until is None
        last = len(leaving) == len(part.holders)
        if (mode in SHARED or last) and would_fit(part, need, mode, leaving, mps=mps):
            return Turn((_leaves(holder)[0], unknown, len(leaving)), tuple(leaving))
    return None


def _kept(turn: Turn, need: Need, mode: SharingMode, session: str) -> Kept:
    """A newcomer who leaves enough over delays nobody, as long as it is known when those before it leave."""
    _, unknown, _ = turn.ready
    memory_mib = UNKNOWN_MIB if unknown else need.memory_mib
    return Kept(session, mode, memory_mib, frozenset(turn.leaving))


def _leaves(holder: Holding) -> tuple[float, int, str]:
    until = math.inf if holder.until is None else holder.until.timestamp()
    return until, -(holder.gpu.memory_mib or 0), holder.session
