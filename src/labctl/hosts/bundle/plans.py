"""What labs need, without starting them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from labctl.errors import UsageError

if TYPE_CHECKING:
    from labctl.plan import Plan
    from labctl.settings import Settings


def plans(labs: Sequence[str], profile: str | None, settings: Settings) -> list[Plan]:
    """The plan of each lab as containers would have it; `profile` None is the setting's, else each lab's first one.

    Raises NotFoundError, LabFileError, UsageError when a lab has no such profile.
    """
    return [_plan(lab, profile, settings) for lab in labs]


def plans_with(labs: Sequence[str], profile: str, settings: Settings) -> list[Plan]:
    """The same of those labs that have this profile."""
    from labctl.labs.lab import load

    having = [lab for lab in labs if profile in load(lab, settings.labs).spec.profiles]
    return plans(having, profile, settings)


def _plan(lab: str, profile: str | None, settings: Settings) -> Plan:
    from labctl.labs.lab import load
    from labctl.planning import declared_layout, plan

    found = load(lab, settings.labs)
    size = profile or settings.profile or next(iter(found.spec.profiles))
    if size not in found.spec.profiles:
        raise UsageError(f"{lab} has no profile {size!r}", f"it has: {', '.join(found.spec.profiles)}")
    return plan(found, learner=settings.learner, profile=size, layout=declared_layout(found))
