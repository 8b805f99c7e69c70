"""What a lab asks of GPUs, and what each way of sharing can give. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from labctl.gpus.inventory import SharingMode

Isolation = Literal["hard", "soft", "none"]
Sharing = SharingMode | Literal["any"]

GIVES: dict[SharingMode, Isolation] = {"exclusive": "hard", "mig": "hard", "mps": "soft", "timeslice": "none"}
"""What each mode keeps apart. hard: memory and faults; soft: memory is limited, and one program's fault ends all of
them; none: whoever takes more memory than its share takes it from the others.

Source: NVIDIA MIG User Guide ("Isolation"), NVIDIA MPS documentation ("Memory Protection", "Error Containment"), NVIDIA
Kubernetes device plugin ("time-slicing ... no memory or fault-isolation")."""
MEANS: dict[SharingMode, str] = {
    "exclusive": "a GPU of one's own",
    "mig": "a MIG slice: memory and faults are kept apart by the hardware",
    "mps": "shared through MPS: memory is limited, and one program's fault ends the others on the GPU too",
    "timeslice": "shared in turns: nothing limits memory, whoever takes more than its share takes it from the others",
}
_STRENGTH: dict[Isolation, int] = {"none": 0, "soft": 1, "hard": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What is asked of `count` GPUs. `memory_mib` must be free on each; `compute_capability` is `>=8.0`, `==9.0`, or
    `8.0`, which means at least; `sharing` `any` takes whatever gives the `isolation` that is insisted on."""

    count: int = 1
    memory_mib: int = 0
    compute_capability: str | None = None
    sharing: Sharing = "exclusive"
    isolation: Isolation = "none"


def modes(sharing: Sharing, isolation: Isolation) -> tuple[SharingMode, ...]:
    """The modes that `sharing` allows and that give at least `isolation`; empty when the wish is impossible.

    >>> modes("any", "soft"), modes("timeslice", "hard")
    (('mig', 'mps', 'exclusive'), ())
    """
    allowed: tuple[SharingMode, ...] = ("mig", "mps", "timeslice", "exclusive") if sharing == "any" else (sharing,)
    return tuple(mode for mode in allowed if _STRENGTH[GIVES[mode]] >= _STRENGTH[isolation])
