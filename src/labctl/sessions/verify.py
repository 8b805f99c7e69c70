"""`verify`: look at a session from outside and write down what was found."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from labctl import __version__
from labctl.errors import NotFoundError
from labctl.sessions.context import Context
from labctl.store.records import Session, SessionState, iso

if TYPE_CHECKING:
    from labctl.outcomes import CriterionResult, Report
    from labctl.plan import Plan, ProfileName
    from labctl.runtimes.base import Runtime


def verify(
    ctx: Context,
    session: Session,
    *,
    only: Collection[str] = (),
    on_result: Callable[[CriterionResult], None] | None = None,
    as_of: datetime | None = None,
) -> Report:
    """Grade the session by its lab's criteria as they are now, and keep the report. `only` names criteria; `as_of` is the
    deadline whose state this is.

    Raises NotFoundError for an unknown criterion, or a session that is not running.
    """
    from labctl.grading import grade
    from labctl.outcomes import Report

    if session.state not in (SessionState.RUNNING, SessionState.FAILED):
        raise NotFoundError(
            f"{session.id} is {session.state.value}, not RUNNING",
            f"bring it back: `labctl up {session.name_for(ctx.settings.learner)}`",
        )
    runtime = ctx.runtime(session.runtime)
    plan = current_plan(session, runtime)
    _known(plan, only)
    started, clock = ctx.now(), time.monotonic()
    criteria = grade(plan.criteria, runtime.target(session.handle), only=only, on_result=on_result)
    report = Report(
        lab=session.lab,
        session=session.id,
        learner=session.person,
        runtime=session.runtime,
        profile=session.profile,
        trust=runtime.trust,
        started_at=iso(started),
        duration_s=round(time.monotonic() - clock, 3),
        criteria=criteria,
        evidence=_evidence(plan, session, only),
    )
    if not only:
        ctx.store.add_report(report, as_of)
    return report


def current_plan(session: Session, runtime: Runtime) -> Plan:
    """The plan of a session from its lab file as it is now, with the session's own places."""
    from labctl.gpus.inventory import Allocation, HeldGpu
    from labctl.labs.lab import load_folder
    from labctl.plan import plan

    lab = load_folder(Path(session.lab_path))
    layout = runtime.layout(lab, session.id, Path(session.workspace))
    held = tuple(HeldGpu(**dict(gpu)) for gpu in session.gpus)
    return plan(
        lab,
        learner=session.learner,
        profile=cast("ProfileName", session.profile),
        layout=layout,
        allocation=Allocation(gpus=held) if held else None,
        cohort=session.cohort,
    )


def _known(plan: Plan, only: Collection[str]) -> None:
    ids = [criterion.id for criterion in plan.criteria]
    unknown = [id for id in only if id not in ids]
    if unknown:
        raise NotFoundError(f"{plan.lab} has no criterion {unknown[0]!r}", f"it has: {', '.join(ids)}")


def _evidence(plan: Plan, session: Session, only: Collection[str]) -> dict[str, Any]:
    """What somebody who doubts the report can compare."""
    return {
        **({"only": list(only)} if only else {}),
        "labctl": __version__,
        "lab_digest": plan.lab_digest,
        "services": {service.name: service.digest for service in plan.services},
        "environments": {env.name: env.digest for env in plan.envs},
        "models": {model.name: model.digest for model in plan.models},
        "gpus": [dict(gpu) for gpu in session.gpus],
        "platform": platform.platform(),
        "python": platform.python_version(),
    }
