"""GPUs kept in order, so that a choice among a thousand looks at few of them. Pure."""

from __future__ import annotations

from bisect import bisect_left, insort
from itertools import product
from typing import Literal

from labctl.gpus.inventory import SharingMode
from labctl.gpus.need import Need
from labctl.gpus.parts import SHARED, UNKNOWN_MIB, Part, capable, sound

Kind = Literal["slice", "idle", "busy", "mps", "timeslice"]
"""What a part is good for: a free MIG slice; a GPU that nobody uses; one that nobody holds and strangers use; one that
is shared already."""
KINDS: dict[SharingMode, tuple[tuple[Kind, ...], ...]] = {
    "mig": (("slice",),),
    "exclusive": (("idle",),),
    "mps": (("mps",), ("idle", "busy")),
    "timeslice": (("timeslice",), ("idle", "busy")),
}
"""Where each mode looks, in this order: a GPU that is shared already before another one is opened for sharing."""
Place = tuple[int, int]
"""Memory to be had and the part's number."""
Rank = tuple[int, int, int]


class Shelf:
    """GPUs that differ only in how full they are: by kind, those with the least memory to be had first."""

    __slots__ = ("capability", "places", "total_mib", "warned")

    def __init__(self, part: Part) -> None:
        self.warned = bool(part.gpu.health.reasons)
        self.capability = part.gpu.compute_capability
        self.total_mib = UNKNOWN_MIB if part.total_mib is None else part.total_mib
        self.places: dict[Kind, list[Place]] = {"slice": [], "idle": [], "busy": [], "mps": [], "timeslice": []}

    def tightest(self, kind: Kind, memory_mib: int) -> Place | None:
        """The place with the least memory that suffices."""
        places = self.places[kind]
        at = bisect_left(places, (memory_mib, -1))
        return places[at] if at < len(places) else None

    def rank(self, kind: Kind, place: Place) -> Rank:
        """Lower is better: the fullest of those that are shared already, else the smallest."""
        left_mib, order = place
        return (left_mib, self.total_mib, order) if kind in SHARED else (self.total_mib, left_mib, order)


class Shelves:
    """Every part that can be given now. Tell it before and after a part changes: `take_out`, `put_in`."""

    def __init__(self) -> None:
        self._shelves: dict[tuple[bool, int, str | None], Shelf] = {}
        self._capable: dict[str | None, tuple[list[Shelf], list[Shelf]]] = {}
        self._where: dict[int, tuple[Shelf, Kind, Place]] = {}

    def put_in(self, part: Part) -> None:
        """Offer a part for what it is good for now; nothing when that is nothing."""
        kind = _kind(part)
        if kind is None:
            return
        shelf = self._shelf(part)
        place = (part.room_mib(), part.order)
        insort(shelf.places[kind], place)
        self._where[part.order] = (shelf, kind, place)

    def take_out(self, part: Part) -> None:
        """Offer a part no longer; doing so again does nothing."""
        if part.order not in self._where:
            return
        shelf, kind, place = self._where.pop(part.order)
        places = shelf.places[kind]
        del places[bisect_left(places, place)]

    def best(self, need: Need, mode: SharingMode) -> int | None:
        """The number of the part that serves one GPU of `need` in `mode` with the least waste."""
        for shelves in self._able(need):
            for kinds in KINDS[mode]:
                ranks = [
                    shelf.rank(kind, place)
                    for shelf in shelves
                    for kind in kinds
                    if (place := shelf.tightest(kind, need.memory_mib))
                ]
                if ranks:
                    return min(ranks)[-1]
        return None

    def all(self, need: Need, mode: SharingMode, *, warned: bool) -> list[int]:
        """The numbers of all parts that serve, best first; `warned` GPUs, behind the others, only on request."""
        found: list[tuple[int, int, int, int]] = []
        for worse, shelves in enumerate(self._able(need)[: 1 + warned]):
            for later, kinds in enumerate(KINDS[mode]):
                for shelf, kind in product(shelves, kinds):
                    places, total_mib = shelf.places[kind], shelf.total_mib
                    fit = places[bisect_left(places, (need.memory_mib, -1)) :]
                    rank = 2 * worse + later
                    if kind in SHARED:
                        found += [(rank, left_mib, total_mib, order) for left_mib, order in fit]
                    else:
                        found += [(rank, total_mib, left_mib, order) for left_mib, order in fit]
        return [order for *_, order in sorted(found)]

    def _able(self, need: Need) -> tuple[list[Shelf], list[Shelf]]:
        """The shelves of GPUs that can do what is asked: those without warnings, and the others."""
        wanted = need.compute_capability
        if wanted not in self._capable:
            able = [shelf for shelf in self._shelves.values() if capable(shelf.capability, need)]
            clean = [shelf for shelf in able if not shelf.warned]
            self._capable[wanted] = (clean, [shelf for shelf in able if shelf.warned])
        return self._capable[wanted]

    def _shelf(self, part: Part) -> Shelf:
        shelf = Shelf(part)
        key = (shelf.warned, shelf.total_mib, shelf.capability)
        if key not in self._shelves:
            self._shelves[key] = shelf
            self._capable.clear()
        return self._shelves[key]


def _kind(part: Part) -> Kind | None:
    if not sound(part):
        return None
    mode = part.mode
    if part.kept is not None and not (mode in SHARED and part.room_mib()):
        return None
    if mode is not None:
        return mode if mode == "mps" or mode == "timeslice" else None
    strangers = bool(part.strangers())
    if part.mig is not None:
        return None if strangers else "slice"
    return "busy" if strangers else "idle"
