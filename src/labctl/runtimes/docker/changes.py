"""What `up` would do now, without doing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl.images.engine import is_present
from labctl.images.names import is_ours
from labctl.runtimes.base import State
from labctl.runtimes.docker import handles, models, networks, preparing
from labctl.runtimes.docker.parts import Part, parts
from labctl.runtimes.docker.session import Session
from labctl.runtimes.docker.state import states

if TYPE_CHECKING:
    from labctl.plan import Plan

_WELL = (State.RUNNING, State.EXITED, State.STARTING)


def changes(plan: Plan, session: Session) -> list[str]:
    """One line a thing that would be fetched, made, started, replaced or ended; empty when the session runs as planned."""
    host = preparing.planned_host(plan, session.engine)
    missing = [
        _image(name, reference) for name, reference in host.images.items() if not is_present(session.client, reference)
    ]
    missing += [f"build model {step.name}" for step in models.missing(plan, host)]
    planned = Session(session.engine, session.folder, handles.make(plan, host, session.folder))
    return [*missing, *_network(plan, planned), *_parts(planned, parts(plan, host))]


def _image(name: str, reference: str) -> str:
    return f"build image {reference}" if is_ours(name) else f"pull image {reference}"


def _network(plan: Plan, session: Session) -> list[str]:
    found = networks.find(session.client, session.marks)
    good = [network for network in found if networks.is_as_wanted(network, egress=plan.egress)]
    return [] if good else ["make the session's network"]


def _parts(session: Session, wanted: list[Part]) -> list[str]:
    now = {service.name: service for service in states(session, probe=True)}
    found = []
    for part in wanted:
        seen = session.container(part.name)
        if seen is None:
            found.append(f"start {_label(part)}")
        elif seen.digest != part.digest:
            found.append(f"replace {_label(part)}: its settings changed")
        elif part.name in now and now[part.name].state not in _WELL:
            found.append(f"start {_label(part)} again: {now[part.name].reason or now[part.name].state}")
        elif part.name not in now and seen.status != "running":
            found.append(f"start {_label(part)} again")
    names = {part.name for part in wanted}
    return found + [f"end service {name}" for name in session.parts() if name not in names]


def _label(part: Part) -> str:
    return f"service {part.name}" if part.role == "service" else f"the {part.name}"
