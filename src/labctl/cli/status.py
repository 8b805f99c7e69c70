"""`status`: sessions with their services, GPUs and expiry."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labctl.cli import screen
from labctl.cli.options import Json, OptionalSession, Quiet
from labctl.cli.table import Cell
from labctl.errors import NotFoundError

if TYPE_CHECKING:
    from labctl.sessions.context import Context
    from labctl.sessions.view import SessionView
    from labctl.store.records import Session, Waiting


def status(
    lab: OptionalSession = None,
    secrets: Annotated[bool, typer.Option("--secrets", help="Also the passwords and tokens made up for it.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show sessions: services with state and reason, GPU, expiry."""
    from labctl.cli.context import context
    from labctl.sessions.queue import queue, to_json
    from labctl.sessions.view import views

    ctx = context()
    line = queue(ctx)
    sessions = _sessions(ctx, lab, line)
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
        shown = [each.to_json() | more.get(each.session.id, {}) for each in seen]
        screen.answer_json({"sessions": shown, "waiting": to_json(line)})
        return
    _print(ctx, seen, known)
    if not seen and not line:
        screen.line(Cell("no session is running", "dim"))
        screen.hint("labctl list    the labs there are", "labctl up LAB  start one")
    _print_line(line, lab, {each.session.id for each in seen})


def _print(ctx: Context, seen: list[SessionView], known: Mapping[str, Mapping[str, str]]) -> None:
    """One session whole, or several in a table; `known` are secrets by session."""
    if len(seen) == 1:
        session, services = seen[0].session, seen[0].services
        print_session(seen[0], known.get(session.id, {}))
        if seen[0].note or not all(service.state.value in ("running", "exited") for service in services):
            screen.hint(f"labctl up {session.name_for(ctx.settings.learner)}    mend it")
        screen.hint(f"labctl verify {session.name_for(ctx.settings.learner)}    see how far you are")
    elif seen:
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
        ("workspace", Cell(seen.where)),
        ("expires", Cell(_expiry(seen))),
    ]
    if session.gpus:
        facts.insert(1, ("gpu", Cell("; ".join(f"{held(gpu)} ({gpu['uuid']})" for gpu in session.gpus))))
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
            Cell("; ".join(map(held, each.session.gpus)) or "–"),
            Cell(_expiry(each)),
            Cell(each.note, "yellow"),
        )
        for each in seen
    ]
    screen.table(("SESSION", "STATE", "RUNS ON", "SERVICES", "GPU", "EXPIRES", ""), rows)
    screen.hint("labctl status LAB    one of them, whole")


def held(gpu: Mapping[str, Any]) -> str:
    """A GPU that a session holds: `A100 16 of 80 GiB, shared in turns`."""
    from labctl.gpus.need import MEANS
    from labctl.units import format_mib

    mode, share, total = gpu["sharing"], gpu["memory_mib"], gpu["total_mib"]
    size = [] if share is None else [format_mib(share)]
    if share is not None and total is not None and share < total:
        whole = format_mib(total)
        size = [f"{size[0].removesuffix(' ' + whole.split()[1])} of {whole}"]
    how = "" if mode == "exclusive" else f", {MEANS[mode].partition(':')[0]}"
    return " ".join([str(gpu["name"]).removeprefix("NVIDIA "), *size]) + how


def _sessions(ctx: Context, lab: str | None, line: Sequence[Waiting]) -> list[Session]:
    """Those that are asked for. One that waits for its first GPU is on no record yet, and no mistake."""
    from labctl.sessions.find import find

    if lab is None:
        return ctx.store.sessions(live=True)
    try:
        return [find(ctx, lab)]
    except NotFoundError:
        if not any(_means(lab, each) for each in line):
            raise
    return []


def _print_line(line: Sequence[Waiting], lab: str | None, shown: Collection[str]) -> None:
    """The places in line of what is asked for; `shown` are the sessions that were printed."""
    from labctl.sessions.queue import purpose_of, session_of

    asked = [
        (place, each)
        for place, each in enumerate(line, start=1)
        if lab is None or session_of(each) in shown or _means(lab, each)
    ]
    if asked and shown:
        screen.line()
    for place, each in asked:
        what = "waits for a GPU for a job" if purpose_of(each) == "job" else "waits for a GPU"
        text = f"{what}: place {place} of {len(line)} since {each.since.astimezone():%H:%M}"
        screen.line(Cell(session_of(each), f"bold {screen.ACCENT}"), Cell(text, "yellow"))


def _means(lab: str, waiting: Waiting) -> bool:
    from labctl.sessions.queue import session_of

    return lab in (session_of(waiting), waiting.lab)


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
