"""Which size of the lab runs, and on which GPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl.errors import PreflightError, UsageError
from labctl.gpus.fit import Need, choose
from labctl.gpus.inventory import Allocation, HeldGpu, Inventory
from labctl.sessions.context import Context
from labctl.store.records import Session

if TYPE_CHECKING:
    from labctl.labs.lab import Lab
    from labctl.labs.spec import GpuNeed
    from labctl.plan import ProfileName
    from labctl.runtimes.base import Runtime


HELD_ALONE = ("exclusive", "mig")


def allocate(
    ctx: Context, lab: Lab, runtime: Runtime, wanted: str | None, *, held_by: Session | None
) -> tuple[ProfileName, Allocation | None]:
    """The profile, and the GPUs it gets: those the session already holds, else free ones that fit.

    Without `wanted`: gpu when a GPU fits, else cpu. Raises PreflightError when `wanted` is gpu and none fits.
    """
    profiles = lab.spec.profiles
    if wanted is not None and wanted not in profiles:
        raise UsageError(f"{lab.id} has no profile {wanted!r}", f"it has: {', '.join(profiles)}")
    if wanted == "cpu" or "gpu" not in profiles:
        return "cpu", None
    need = profiles["gpu"].gpu
    if need is None:
        return "gpu", None
    if held_by and held_by.gpus and held_by.profile == "gpu":
        return "gpu", Allocation(gpus=tuple(HeldGpu(**dict(gpu)) for gpu in held_by.gpus))
    chosen = _choose(ctx, runtime.gpus(), need)
    if isinstance(chosen, Allocation):
        return "gpu", chosen
    if wanted is None and "cpu" in profiles:
        return "cpu", None
    other = "run the small size: --profile cpu; " if "cpu" in profiles else ""
    raise PreflightError(f"no GPU fits {lab.id}: {chosen}", f"{other}`labctl gpu list` shows every GPU and why not")


def _choose(ctx: Context, inventory: Inventory, need: GpuNeed) -> Allocation | str:
    held = {
        str(gpu["uuid"])
        for session in ctx.store.sessions(live=True)
        for gpu in session.gpus
        if gpu["sharing"] in HELD_ALONE
    }
    asked = Need(
        count=need.count,
        memory_mib=need.memory,
        compute_capability=need.compute_capability,
        sharing=need.sharing,
    )
    return choose(inventory, asked, held)
