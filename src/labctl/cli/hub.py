"""`hub …`: the portal, where learners log in and start their labs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli import screen
from labctl.cli.cohort_open import CohortArgument, tell_problems
from labctl.cli.options import Json, lifetime_s
from labctl.errors import LabFileError, UsageError

if TYPE_CHECKING:
    from labctl.cohorts.roster import Roster
    from labctl.cohorts.spec import CohortFile
    from labctl.hub.folder import HubFolder
    from labctl.sessions.context import Context

app = typer.Typer(help="The portal of a class, which is JupyterHub.", no_args_is_help=True)


@app.command("serve")
def serve(
    file: CohortArgument,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Where it listens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="On which port.")] = 8000,
    db: Annotated[
        str | None, typer.Option("--db", metavar="URL", help="The Hub's own database; SQLite when left out.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="More JupyterHub configuration, read last.")
    ] = None,
) -> None:
    """Serve the portal until Ctrl-C; sessions go on. Started again it takes up where it was, also after a kill."""
    from labctl.hub import serving
    from labctl.hub.board.hooks import hooks
    from labctl.hub.config import Portal
    from labctl.hub.place import PORTS, place

    serving.check_installed()
    ctx, found, people, folder = _opened(file)
    tell_problems(found.roster, people)
    hooks(found, os.environ)  # what is wrong with webhooks is told here, not in the board's log
    instructors = _instructors(found, people)
    apart, more = place(os.environ), serving.check_more(config)
    proxy = "" if apart else serving.proxy_path(os.environ)
    serving.lock(folder, serving.POD_ENDING_S if apart else 0.0)
    portal = Portal(
        folder=folder,
        file=found.path.absolute(),  # a cluster keeps a file's contents behind links that change with them
        host=host,
        port=port,
        proxy=proxy,
        place=apart,
        ports=PORTS if apart else _ports(folder, host, port),
        instructors=instructors,
        title=found.spec.title,
        labs=_labs(found, ctx.settings.labs),
        database_url=db,
        more=more,
    )
    written = serving.write(portal)
    screen.hint(
        f"{found.spec.title or found.spec.name} at {portal.url}, configured by {written}",
        f"labctl hub invite {file}    a personal link for everybody on the list",
    )
    serving.become(portal, written)


@app.command("invite")
def invite(
    file: CohortArgument,
    who: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[LEARNER]…", help="Learners by id, ID, email address or name; everybody when left out."
        ),
    ] = None,
    instructor: Annotated[
        str | None, typer.Option("--instructor", metavar="NAME", help="A link for an instructor instead.")
    ] = None,
    expires: Annotated[str, typer.Option("--expires", metavar="7d", help="How long the links are valid.")] = "7d",
    url: Annotated[
        str | None, typer.Option("--url", metavar="URL", help="The portal's address as learners see it.")
    ] = None,
    revoke: Annotated[bool, typer.Option("--revoke", help="Make all their links invalid instead.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Answer as CSV, for a mail merge.")] = False,
    json: Json = False,
) -> None:
    """Make personal links that log people in. A link is shown once; only a hash of it is kept."""
    from labctl.cli.hub_screen import show_invites, show_revoked
    from labctl.hub.invites import Invites

    _, found, people, folder = _opened(file)
    names = _instructor(people, instructor) if instructor else _learners(people, who)
    invites = Invites(folder)
    if revoke:
        show_revoked(found.spec.name, invites.revoke(names), json=json)
        return
    lasts_s = lifetime_s(expires, "--expires: ", "for example --expires 7d")
    issued = invites.issue(
        {user: name for user, (name, _) in names.items()}, lasts_s, datetime.now(UTC), instructor=instructor is not None
    )
    show_invites(found.spec.name, issued, names, url or folder.url, csv=csv, json=json)


def _ports(folder: HubFolder, host: str, port: int) -> dict[str, int]:
    """What the Hub, its proxy and the board listen on behind the portal. Raises PreflightError when something else does."""
    from labctl.hub import serving

    serving.check_port(host, port)
    ports = folder.ports()
    for number in ports.values():
        hint = f"end what listens there; or, when no lab runs, remove {folder.root}/ports.json"
        serving.check_port("127.0.0.1", number, hint)
    return ports


def _opened(file: Path) -> tuple[Context, CohortFile, Roster, HubFolder]:
    from labctl.cli.context import context
    from labctl.cohorts import roster, spec
    from labctl.hub.folder import HubFolder

    ctx = context()
    found = spec.load(file, ctx.settings.labs)
    return ctx, found, roster.read(found.roster), HubFolder(ctx.settings.home, found.spec.name)


def _labs(found: CohortFile, more: Sequence[Path]) -> list[dict[str, str | int]]:
    """What the portal's pages say of each lab."""
    from labctl.hub.names import server_name
    from labctl.labs.lab import load

    loaded = [load(lab, more) for lab in found.spec.labs]
    return [{"server": server_name(lab.id), "title": lab.spec.title, "minutes": lab.spec.minutes} for lab in loaded]


def _learners(people: Roster, who: list[str] | None) -> dict[str, tuple[str, str]]:
    """By id, name and email address."""
    chosen = [people.find(each) for each in who] if who else people.people
    return {person.id: (person.name, person.email) for person in chosen}


def _instructors(found: CohortFile, people: Roster) -> list[str]:
    """Those of the cohort file. A link of a learner's must never log in an instructor."""
    users = [name.strip().casefold() for name in found.spec.instructors]
    both = sorted({person.id for person in people.people} & set(users))
    if both:
        what = f"{found.path}: `instructors` names {both[0]!r}, which is the id of a learner on the list"
        raise LabFileError(what, "name the instructor by email address, or give the learner another ID")
    return users


def _instructor(people: Roster, name: str) -> dict[str, tuple[str, str]]:
    user = name.strip().casefold()
    if not user or any(
        user in (person.id, person.email.casefold(), person.number.casefold()) for person in people.people
    ):
        raise UsageError(f"--instructor: {name!r} is a learner on the list, or empty", "give another name")
    return {user: (name, "")}
