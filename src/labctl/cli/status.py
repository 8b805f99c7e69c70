"""`status`: sessions with their services, GPUs and expiry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl.cli import screen
from labctl.cli.options import Json, OptionalSession, Quiet

if TYPE_CHECKING:
    from labctl.sessions.view import SessionView


def status(lab: OptionalSession = None, json: Json = False, quiet: Quiet = False) -> None:
    """Show sessions: services with state and reason, GPU, expiry."""
    from labctl.cli.context import context
    from labctl.sessions.find import find
    from labctl.sessions.view import views

    ctx = context()
    sessions = [find(ctx, lab)] if lab else ctx.store.sessions(live=True)
    if quiet:
        screen.answer("\n".join(session.id for session in sessions))
        return
    seen = views(ctx, sessions)
    if json:
        screen.answer_json({"sessions": [each.to_json() for each in seen]})
    elif not seen:
        screen.out().print("no session is running", style="dim")
        screen.hint("labctl list    the labs there are", "labctl up LAB  start one")
    elif len(seen) == 1:
        print_session(seen[0])
        screen.hint(f"labctl verify {seen[0].session.name_for(ctx.settings.learner)}    see how far you are")
    else:
        _print_many(seen)


def print_session(seen: SessionView) -> None:
    """One session, whole."""
    out, session = screen.out(), seen.session
    out.print(screen.text(session.id, f"bold {screen.ACCENT}"), screen.state(session.state.value))
    if seen.note:
        out.print(screen.text(f"  {seen.note}", "yellow"))
    facts = [
        ("runtime", screen.text(f"{session.runtime}, profile {session.profile}")),
        ("workspace", screen.text(session.workspace)),
        ("expires", screen.text(_expiry(seen))),
    ]
    if session.gpus:
        facts.insert(1, ("gpu", screen.text(", ".join(f"{gpu['name']} {gpu['uuid']}" for gpu in session.gpus))))
    if seen.changed:
        facts.append(("changed", screen.text(", ".join(seen.changed))))
    facts_table = screen.table(("", ""), facts)
    facts_table.show_header = False
    out.print(facts_table)
    if seen.services:
        out.print()
        rows = [
            (
                screen.text(service.name, "bold"),
                screen.state(service.state.value),
                screen.text(service.url or "–"),
                screen.text(service.reason),
            )
            for service in seen.services
        ]
        out.print(screen.table(("SERVICE", "STATE", "URL", ""), rows))
    out.print()


def _print_many(seen: list[SessionView]) -> None:
    rows = [
        (
            screen.text(each.session.id, "bold"),
            screen.state(each.session.state.value),
            screen.text(f"{each.session.runtime}/{each.session.profile}"),
            screen.text(_services(each)),
            screen.text(", ".join(str(gpu["name"]) for gpu in each.session.gpus) or "–"),
            screen.text(_expiry(each)),
            screen.text(each.note, "yellow"),
        )
        for each in seen
    ]
    screen.out().print(screen.table(("SESSION", "STATE", "RUNS ON", "SERVICES", "GPU", "EXPIRES", ""), rows))
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
