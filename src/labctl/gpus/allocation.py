"""Which GPUs a session gets. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from labctl.gpus import reasons
from labctl.gpus.inventory import Allocation, Gpu, Holding, Inventory, SharingMode
from labctl.gpus.nearness import nearest, neighbours
from labctl.gpus.need import Need, modes
from labctl.gpus.parts import Kept, Part, fits, parts_of
from labctl.gpus.reservation import soonest
from labctl.gpus.shelves import Shelves

ANYTHING = Need(sharing="any", memory_mib=1)
"""The least that can be asked."""


class Pool:
    """An inventory with everything that is held of it: what is taken here counts as held from then on.

    Memory is never promised twice. Of what serves, the tightest is taken, so that the largest whole remains. The same
    inventory, holdings and requests in the same order give the same answers.
    """

    def __init__(self, inventory: Inventory, holdings: Iterable[Holding] = ()) -> None:
        self.inventory = inventory
        self._parts: list[Part] = []
        self._of_gpu: dict[int, list[Part]] = {}
        for gpu in sorted(inventory.gpus, key=lambda gpu: gpu.index):
            parts = parts_of(gpu, len(self._parts))
            self._parts += parts
            self._of_gpu[gpu.index] = parts
        self._numbers = {part.uuid: part.order for part in self._parts if part.uuid}
        self._near = neighbours(inventory.links, self._numbers)
        self._held: dict[str, set[int]] = {}
        self._kept: dict[str, list[tuple[Part, Kept]]] = {}
        self._shelves = Shelves()
        for holding in holdings:
            self._note(holding)
        for part in self._parts:
            self._shelves.put_in(part)

    def take(self, need: Need, session: str = "") -> Allocation | None:
        """GPUs for `need`, held by `session` from now on; None when that cannot be now, and then nothing has changed.

        What is set aside for `session` may be used, and is no longer set aside once it got what it needs.
        """
        kept = self._unkeep(session)
        found = self._choose(need)
        if found is None:
            self._keep(session, kept)
            return None
        mode, parts = found
        allocation = Allocation(gpus=tuple(part.held(need, mode) for part in parts))
        for part, gpu in zip(parts, allocation.gpus, strict=True):
            self._shelves.take_out(part)
            self._note(Holding(session=session, lab="", learner="", gpu=gpu))
            self._shelves.put_in(part)
        return allocation

    def reserve(self, need: Need, session: str) -> Allocation | None:
        """Let `session`, which waits in front, have what it needs: taken when it fits now, and else set aside.

        Set aside are the GPUs that will be free for it soonest, so that nobody fills them up again; what is over there
        then, and the others, stay to be had. Nothing is where even those who hold GPUs would leave in vain, and nothing
        while something is set aside for somebody further in front: one at a time is enough for everybody's turn to come.
        """
        taken = self.take(need, session)
        if taken is None:
            self._unkeep(session)
            if not self._kept:
                self._keep(session, soonest(self._parts, need, session, mps=self.inventory.mps))
        return taken

    def give_back(self, session: str) -> None:
        """`session` holds nothing any more, and nothing is set aside for it; again, and for a stranger: nothing."""
        self._unkeep(session)
        for number in sorted(self._held.pop(session, ())):
            part = self._parts[number]
            self._shelves.take_out(part)
            part.holders = [holder for holder in part.holders if holder.session != session]
            self._shelves.put_in(part)

    def why_not(self, need: Need) -> list[tuple[Gpu, str]]:
        """Every GPU that cannot serve `need` now, with the reason, in words with figures."""
        serving = [(gpu, self._serving(gpu, need)) for gpu in self.inventory.gpus]
        common = max(
            modes(need.sharing, need.isolation), key=lambda mode: sum(mode in can for _, can in serving), default=None
        )
        whys = []
        for gpu, can in serving:
            if not can:
                whys.append((gpu, self._why(gpu, need)))
            elif need.count > 1 and common not in can:
                whys.append((gpu, reasons.ALIKE))
        return whys

    def unusable(self, gpu: Gpu) -> str | None:
        """Why `gpu`, one of the inventory's, can serve nobody now, not even with the smallest share; None when it can."""
        return None if self._serving(gpu, ANYTHING) else self._why(gpu, ANYTHING)

    def _choose(self, need: Need) -> tuple[SharingMode, Sequence[Part]] | None:
        for mode in self._modes(need):
            if need.count == 1:
                number = self._shelves.best(need, mode)
                if number is not None:
                    return mode, [self._parts[number]]
            elif chosen := self._several(need, mode):
                return mode, [self._parts[number] for number in chosen]
        return None

    def _several(self, need: Need, mode: SharingMode) -> list[int]:
        for warned in (False, True):
            wished = self._shelves.all(need, mode, warned=warned)
            if len(wished) >= need.count:
                return nearest(wished, need.count, self._near)
        return []

    def _modes(self, need: Need) -> list[SharingMode]:
        """The ways in which `need` can be met here at all, best first."""
        return [
            mode
            for mode in modes(need.sharing, need.isolation)
            if (mode != "mig" or need.count == 1)
            and (mode != "mps" or self.inventory.mps)
            and (mode not in ("mps", "timeslice") or need.memory_mib)
        ]

    def _serving(self, gpu: Gpu, need: Need) -> set[SharingMode]:
        """The modes in which `gpu` serves one of the GPUs of `need` now."""
        parts, mps = self._of_gpu[gpu.index], self.inventory.mps
        return {mode for mode in self._modes(need) if any(fits(part, need, mode, mps=mps) for part in parts)}

    def _why(self, gpu: Gpu, need: Need) -> str:
        return reasons.why(gpu, self._of_gpu[gpu.index], need, mps=self.inventory.mps)

    def _note(self, holding: Holding) -> None:
        """A GPU that is held and is not there any more is nobody's concern here."""
        number = self._numbers.get(holding.gpu.uuid)
        if number is not None:
            self._parts[number].holders.append(holding)
            self._held.setdefault(holding.session, set()).add(number)

    def _keep(self, session: str, kept: list[tuple[Part, Kept]]) -> None:
        self._set_aside(kept)
        if kept:
            self._kept[session] = kept

    def _unkeep(self, session: str) -> list[tuple[Part, Kept]]:
        kept = self._kept.pop(session, [])
        self._set_aside([(part, None) for part, _ in kept])
        return kept

    def _set_aside(self, parts: Sequence[tuple[Part, Kept | None]]) -> None:
        for part, kept in parts:
            self._shelves.take_out(part)
            part.kept = kept
            self._shelves.put_in(part)


def refusal(pool: Pool, need: Need) -> str:
    """Why `need` cannot be met now: how many are asked for and can be had, and for each GPU why not."""
    inventory = pool.inventory
    if not inventory.gpus:
        return inventory.problem or f"{inventory.source} knows no GPU."
    whys = pool.why_not(need)
    fit = len(inventory.gpus) - len(whys)
    asked = "a GPU is asked for and none" if need.count == 1 else f"{need.count} GPUs are asked for and {fit or 'none'}"
    return "\n  ".join([f"{asked} can be used", *(f"GPU {gpu.index} ({gpu.name}): {why}" for gpu, why in whys)])
