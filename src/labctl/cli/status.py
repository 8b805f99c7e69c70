"""`status`: sessions with their services, GPUs and expiry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli import screen
from labctl.cli.options import Json, OptionalSession, Quiet
from labctl.cli.table import Cell

if TYPE_CHECKING:
    from labctl.sessions.view import SessionView


def status(
    lab: OptionalSession = None,
    secrets: Annotated[bool, typer.Option("--secrets", help="Also the passwords and tokens made up for it.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show sessions: services with state and reason, GPU, expiry."""
    from labctl.cli.context import context
    from labctl.sessions.find import find
    from labctl.sessions.view import views

    ctx = context()
    sessions = [find(ctx, lab)] if lab else ctx.store.sessions(live=True)
    if quiet and not json:
        for session in sessions:
            screen.answer(session.id)
        return
    seen = views(ctx, sessions)
    known = {
        each.session.id: ctx.runtime(each.session.runtime).secrets(each.session.handle) for each in seen if secrets
    }
    if json:
        more = {id: {"secrets": dict(values)} for id, values in known.items()}
        screen.answer_json({"sessions": [each.to_json() | more.get(each.session.id, {}) for each in seen]})
    elif not seen:
        screen.line(Cell("no session is running", "dim"))
        screen.hint("labctl list    the labs there are", "labctl up LAB  start one")
    elif len(seen) == 1:
        print_session(seen[0], known.get(seen[0].session.id, {}))
        if seen[0].note or not all(service.state.value in ("running", "exited") for service in seen[0].services):
            screen.hint(f"labctl up {seen[0].session.name_for(ctx.settings.learner)}    mend it")
        screen.hint(f"labctl verify {seen[0].session.name_for(ctx.settings.learner)}    see how far you are")
    else:
        _print_many(seen)
        for id, values in known.items():
            screen.table(("", ""), [(Cell(f"{id} {name}"), Cell(value)) for name, value in values.items()])


def print_session(seen: SessionView, secrets: Mapping[str, str]) -> None:
    """One session, whole, with what was made up for it."""
    session = seen.session
    screen.line(Cell(session.id, f"bold {screen.ACCENT}"), screen.state(session.state.value))
    if seen.note:
        screen.line(Cell(f"  {seen.note}", "yellow"))
    facts = [
        ("runtime", Cell(f"{session.runtime}, profile {session.profile}")),
        ("workspace", Cell(session.workspace)),
        ("expires", Cell(_expiry(seen))),
    ]
    if session.gpus:
        facts.insert(1, ("gpu", Cell(", ".join(f"{gpu['name']} {gpu['uuid']}" for gpu in session.gpus))))
    if seen.changed:
        facts.append(("changed", Cell(", ".join(seen.changed))))
    facts += [(name.lower().replace("_", "-"), Cell(value)) for name, value in secrets.items()]
    screen.table(("", ""), facts)
    if seen.services:
        screen.line()
        rows = [
            (
                Cell(service.name, "bold"),
                screen.state(service.state.value),
                Cell(service.url or "–"),
                Cell(service.reason),
            )
            for service in seen.services
        ]
        screen.table(("SERVICE", "STATE", "URL", ""), rows)


def _print_many(seen: list[SessionView]) -> None:
    rows = [
        (
            Cell(each.session.id, "bold"),
            screen.state(each.session.state.value),
            Cell(f"{each.session.runtime}/{each.session.profile}"),
            Cell(_services(each)),
            Cell(", ".join(str(gpu["name"]) for gpu in each.session.gpus) or "–"),
            Cell(_expiry(each)),
            Cell(each.note, "yellow"),
        )
        for each in seen
    ]
    screen.table(("SESSION", "STATE", "RUNS ON", "SERVICES", "GPU", "EXPIRES", ""), rows)
    screen.hint("labctl status LAB    one of them, whole")


def _services(seen: SessionView) -> str:
    healthy = sum(service.state.value in ("running", "exited") for service in seen.services)
    return f"{healthy}/{len(seen.services)} healthy" if seen.services else "–"


def _expiry(seen: SessionView) -> str:
    from datetime import UTC, datetime

    from labctl.units import format_duration

    if seen.session.expires_at is None:
        return "never"
    left = (seen.session.expires_at - datetime.now(UTC)).total_seconds()
    return f"in {format_duration(left)}" if left > 0 else f"{format_duration(-left)} ago"
