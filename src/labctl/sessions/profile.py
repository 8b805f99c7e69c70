"""Which size of the lab runs, and on which GPUs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from labctl.errors import UsageError
from labctl.gpus.inventory import Allocation
from labctl.sessions.claims import Claim, Refused, need_of
from labctl.sessions.gpus import refused

if TYPE_CHECKING:
    from labctl.labs.lab import Lab
    from labctl.plan import ProfileName

Ask = Callable[[Claim], Allocation | Refused]


def choose(
    lab: Lab, wanted: str | None, *, session: str, learner: str, ask: Ask
) -> tuple[ProfileName, Allocation | None]:
    """The profile, and the GPUs it gets.

    Without `wanted`: gpu when it asks for GPUs and they can be had, else cpu. Raises UsageError for a profile that the lab does not
    have, PreflightError when it must be gpu and none can be had.
    """
    profiles = lab.spec.profiles
    if wanted is not None and wanted not in profiles:
        raise UsageError(f"{lab.id} has no profile {wanted!r}", f"it has: {', '.join(profiles)}")
    if wanted == "cpu" or "gpu" not in profiles:
        return "cpu", None
    asked = profiles["gpu"].gpu
    has_other = "cpu" in profiles
    if asked is None:
        return "cpu" if wanted is None and has_other else "gpu", None
    claim = Claim(session=session, lab=lab.id, learner=learner, need=need_of(asked))
    found = ask(claim)
    if isinstance(found, Allocation):
        return "gpu", found
    if wanted is None and has_other:
        return "cpu", None
    raise refused(claim, found, also="`--profile cpu` runs the small size; " if has_other else "")


def without_gpus(lab: Lab, wanted: str | None) -> ProfileName:
    """The gpu profile, for who wants its environment and borrows GPUs job by job. Raises UsageError when it has none."""
    profile = lab.spec.profiles.get("gpu")
    if profile is None or profile.gpu is None or wanted == "cpu":
        raise UsageError("--no-gpu leaves the GPUs of the gpu profile out, and there are none", "leave it out")
    return "gpu"
