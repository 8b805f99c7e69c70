"""What a lab may ask of GPUs: an impossible wish is refused when the lab is read."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from labctl.gpus.need import GIVES, Isolation, Sharing, modes
from labctl.labs.spec import GpuNeed

POSSIBLE: dict[Sharing, tuple[Isolation, ...]] = {
    "exclusive": ("none", "soft", "hard"),
    "mig": ("none", "soft", "hard"),
    "mps": ("none", "soft"),
    "timeslice": ("none",),
    "any": ("none", "soft", "hard"),
}
EVERY: tuple[Isolation, ...] = ("none", "soft", "hard")


@pytest.mark.parametrize("isolation", EVERY)
@pytest.mark.parametrize("sharing", POSSIBLE)
def test_a_lab_may_insist_on_what_its_sharing_can_give(sharing: Sharing, isolation: Isolation) -> None:
    if isolation in POSSIBLE[sharing]:
        assert GpuNeed(sharing=sharing, isolation=isolation, memory=1024).isolation == isolation
        return
    with pytest.raises(ValidationError, match=f"sharing '{sharing}' cannot give isolation '{isolation}'") as refused:
        GpuNeed(sharing=sharing, isolation=isolation, memory=1024)
    assert all(f"{mode} gives {given} (" in str(refused.value) for mode, given in GIVES.items())


def test_nothing_is_insisted_on_unless_the_lab_says_so() -> None:
    assert GpuNeed().isolation == "none"
    assert modes("any", "none") == ("mig", "mps", "timeslice", "exclusive")


def test_several_slices_are_refused_because_a_program_uses_one() -> None:
    with pytest.raises(ValidationError, match="one MIG slice only; ask for `count: 1`"):
        GpuNeed(sharing="mig", count=2)
    assert GpuNeed(sharing="any", count=2).count == 2


@pytest.mark.parametrize("sharing", ["mps", "timeslice"])
def test_a_share_must_say_how_much(sharing: Sharing) -> None:
    with pytest.raises(ValidationError, match="say how much: `memory: 12GiB`"):
        GpuNeed(sharing=sharing)
