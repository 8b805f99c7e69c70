"""Bringing a session to its plan, and ending it: only what drifted is replaced, whatever is missing is tolerated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from labctl.progress import Progress, Step, one_at_a_time
from labctl.runtimes import jobs
from labctl.runtimes.docker import containers, labels, networks
from labctl.runtimes.docker.bringing import Bringing, bring_up
from labctl.runtimes.docker.containers import Networks, Seen
from labctl.runtimes.docker.parts import INGRESS_NAME, WORKSPACE, Part
from labctl.runtimes.docker.session import Session
from labctl.runtimes.turns import Turns

if TYPE_CHECKING:
    from labctl.plan import Plan

AT_ONCE = 8
_SPARE = 18
"""Addresses beside those of services: workspace, ingress, and containers of checks that run at the same time."""
_ENDED_AT_ONCE = ("check", "build", "job")


def bring(
    session: Session, plan: Plan, parts: Sequence[Part], progress: Progress, *, expires_at: str | None
) -> list[str]:
    """Make the session's containers those of `parts`, each of them healthy; the names of what changed."""
    marks = labels.of_plan(session.folder.home, plan, expires_at)
    found = session.refresh()
    network, unusable = _network(session, plan, marks)
    drifted = [
        seen
        for seen in found
        if (unusable and seen.role != "job") or _is_cut_off(seen, network) or _is_drifted(session, seen, parts)
    ]
    if drifted:
        end(session, drifted)
        session.refresh()
    front = networks.front(session.client, session.folder.home) if any(part.published for part in parts) else None
    session.becomes(parts, marks, Networks(session=network, front=front))
    wanted = {part.name for part in parts}
    removed = [seen.part for seen in drifted if seen.part not in wanted and seen.role not in _ENDED_AT_ONCE]
    turns = Turns(session.folder.home, plan)
    started = bring_up(session, [_bringing(session, plan, part) for part in parts], turns, one_at_a_time(progress))
    return [*dict.fromkeys(removed), *started]


def take_down(session: Session, progress: Progress) -> None:
    """End everything of the session on the engine; what is already gone is passed over."""
    found = session.refresh()
    for seen in found:
        progress(Step(name=seen.part, state="started", detail="stopping"))
    end(session, found)
    for network in networks.find(session.client, session.marks):
        if not networks.remove(session.client, network["Id"]):
            why = "the engine does not let go of it; `labctl gc` tries again"
            progress(Step(name=f"network {network['Name']}", state="progress", detail=why))
    networks.remove_front(session.client, session.folder.home)
    jobs.forget(session.folder)


def end(session: Session, every: Sequence[Seen]) -> None:
    """Stop and remove containers, several at a time."""
    if not every:
        return
    with ThreadPoolExecutor(min(AT_ONCE, len(every))) as pool:
        list(pool.map(partial(_end, session), every))


def _end(session: Session, seen: Seen) -> None:
    services: Mapping[str, Any] = session.handle.get("services", {})
    is_alive = seen.status in ("running", "restarting") and seen.role in ("service", "workspace")
    grace_s = float(services.get(seen.part, {}).get("grace_s", 10.0)) if is_alive else None
    containers.remove(session.client, seen.id, grace_s)


def _network(session: Session, plan: Plan, marks: Mapping[str, str]) -> tuple[str, bool]:
    """The session's network, and whether it had to be made, which leaves no container that is on it."""
    found = networks.find(session.client, session.marks)
    good = [network for network in found if networks.is_as_wanted(network, egress=plan.egress)]
    for network in found:
        if network not in good[:1]:
            end(session, [seen for seen in session.refresh() if network["Id"] in seen.networks])
            networks.remove(session.client, network["Id"])
    if good:
        return str(good[0]["Id"]), False
    name, pool = f"labctl-{session.id}-{marks[labels.HOME][:6]}", session.engine.settings.subnets
    made = networks.create(
        session.client, name, marks, egress=plan.egress, pool=pool, containers=len(plan.services) + _SPARE
    )
    return made, True


def _is_cut_off(seen: Seen, network: str) -> bool:
    return seen.status == "running" and seen.role not in _ENDED_AT_ONCE and network not in seen.networks


def _is_drifted(session: Session, seen: Seen, parts: Sequence[Part]) -> bool:
    if seen.role == "job":  # its `run` goes on meanwhile, and removes it itself
        return jobs.is_over(session.folder, seen.part)
    if seen.role == "check":  # a `verify` that goes on meanwhile ends its own, unless it was killed
        return seen.is_overdue
    digests, liveliest = {part.name: part.digest for part in parts}, session.container(seen.part)
    is_double = liveliest is not None and liveliest.id != seen.id
    return is_double or digests.get(seen.part) != seen.digest or seen.status in ("created", "dead")


def _bringing(session: Session, plan: Plan, part: Part) -> Bringing:
    service = plan.service(part.name)
    awaited = service is not None and service.is_awaited(plan.services)
    known: Mapping[str, Any] = session.handle["services"].get(part.name, {})
    completes = any(
        other.depends_on[part.name].condition == "service_completed_successfully"
        for other in plan.services
        if part.name in other.depends_on
    )
    return Bringing(
        name=part.name,
        label=f"service {part.name}" if service else part.name,
        check=known.get("healthcheck"),
        needs={name: need.condition for name, need in service.depends_on.items()} if service else {},
        is_job=awaited,
        must_complete=completes,
        settles=part.name not in (INGRESS_NAME, WORKSPACE),
    )
