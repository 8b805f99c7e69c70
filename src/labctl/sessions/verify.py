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
    criteria, more = _judged(runtime, session, plan, only, on_result)
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
        evidence={**_evidence(plan, session, only), **more},
    )
    if not only:
        ctx.store.add_report(report, as_of)
    return report


def _judged(
    runtime: Runtime,
    session: Session,
    plan: Plan,
    only: Collection[str],
    on_result: Callable[[CriterionResult], None] | None,
) -> tuple[tuple[CriterionResult, ...], dict[str, Any]]:
    """What each criterion came to, in the plan's order, and what is to be told besides: judged from here, or where it runs."""
    from labctl.grading import grade
    from labctl.outcomes import CriterionResult

    said = runtime.judge(session.handle, [criterion.to_json() for criterion in plan.criteria], list(only))
    if said is None:
        return grade(plan.criteria, runtime.target(session.handle), only=only, on_result=on_result), {}
    found: dict[str, CriterionResult] = {}
    more: dict[str, Any] = {}
    for line in said:
        if "attempt" in line:
            more = {"judge": {"attempts": line["attempt"], "because": line["because"]}} if line["attempt"] > 1 else {}
        elif "criterion" in line:
            result = CriterionResult.from_json(line["criterion"])
            if on_result and result.id not in found:
                on_result(result)
            found[result.id] = result
    return tuple(found[criterion.id] for criterion in plan.criteria if criterion.id in found), more


def current_plan(session: Session, runtime: Runtime) -> Plan:
    """The plan of a session from its lab file as it is now, with the session's own places."""
    from labctl.gpus.inventory import Allocation, HeldGpu
    from labctl.labs.lab import load_folder
    from labctl.planning import plan

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
