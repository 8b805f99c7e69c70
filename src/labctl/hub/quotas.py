"""What a cohort allows, looked at before a learner's session starts."""

from __future__ import annotations

from labctl.cohorts import classroom
from labctl.cohorts.seat import Seat
from labctl.cohorts.spec import Cohort
from labctl.errors import PreflightError
from labctl.labs import lab as labs
from labctl.sessions.context import Context
from labctl.units import format_mib


class Refused(PreflightError):
    """The cohort does not allow it now; `what` and `hint` are for the learner."""


def check(ctx: Context, cohort: Cohort, seat: Seat, starting: frozenset[str]) -> None:
    """Raises Refused, in words for the learner, when the seat may not have a session now.

    `starting` are the ids of sessions that are just being started, which count as if they ran.
    """
    try:
        classroom.check_window(ctx, cohort)
    except PreflightError as error:
        raise Refused(error.what, "your instructor can change that") from error
    live = {session.id: session.person for session in classroom.of_cohort(ctx, cohort)}
    if seat.session in live:
        return
    _check_own(cohort, _own(live, starting, seat))
    _check_memory(ctx, cohort, seat)
    _check_room(ctx, cohort, seat, len(live.keys() | starting))


def _own(live: dict[str, str], starting: frozenset[str], seat: Seat) -> list[str]:
    """The learner's other sessions."""
    mine = {session for session, person in live.items() if person == seat.person.id}
    return sorted(mine | {session for session in starting if session.endswith(f"--{seat.person.id}")} - {seat.session})


def _check_own(cohort: Cohort, own: list[str]) -> None:
    most = cohort.limits.sessions
    if len(own) >= most:
        labs = ", ".join(session.partition("--")[0] for session in own)
        what = "one lab" if most == 1 else f"{most} labs"
        raise Refused(f"you may have {what} open at a time, and {labs} is", "stop it first; your files stay")


def _check_memory(ctx: Context, cohort: Cohort, seat: Seat) -> None:
    if cohort.limits.memory is None:
        return
    sizes = labs.load(seat.lab, ctx.settings.labs).spec.profiles
    chosen = sizes.get(cohort.profile) if cohort.profile else None
    need = (chosen or min(sizes.values(), key=lambda size: size.memory)).memory
    if need > cohort.limits.memory:
        raise Refused(
            f"{seat.lab} needs {format_mib(need)} of memory, and {format_mib(cohort.limits.memory)} is what one may have",
            "tell your instructor",
        )


def _check_room(ctx: Context, cohort: Cohort, seat: Seat, running: int) -> None:
    most = cohort.sessions.maximum
    if most is not None and running >= most and not classroom.has_spare(ctx, cohort, seat.lab):
        raise Refused(f"all {most} places are taken", "try again when somebody has finished")
