"""`image list`, `image build`, `image pull`: the container images of labs, and how they get onto this host's engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labctl.cli import screen
from labctl.cli.options import Json, ProfileOption, labs
from labctl.cli.steps import Steps
from labctl.cli.table import Cell
from labctl.errors import EngineError, LabctlError

if TYPE_CHECKING:
    from labctl.settings import Settings

Row = dict[str, Any]
Client = Any  # docker's own; only `images` and the docker runtime know its name
Ensure = Callable[[str, str], str]
Wanted = tuple[str, str]
"""What a lab file calls an image, and the profile it is for."""
app = typer.Typer(help="Container images: list, build, pull.", no_args_is_help=True)


def _names(incomplete: str) -> list[str]:
    from labctl.images import catalog

    return [image.name for image in catalog.images() if image.name.startswith(incomplete)]


@app.command("list")
def list_(profile: ProfileOption = None, json: Json = False) -> None:
    """Show the images of docker/, and which of them this host's engine has."""
    from labctl import settings
    from labctl.images import catalog

    chosen = settings.load()
    size = profile or chosen.profile or "cpu"
    engine, trouble = _engine(chosen)
    rows = [
        {
            "name": image.name,
            "reference": catalog.reference_of(image, size, chosen),
            "summary": image.spec.summary,
        }
        for image in catalog.images()
    ]
    rows = [row | _on_engine(engine, str(row["reference"])) for row in rows]
    if json:
        screen.answer_json({"profile": size, "engine": trouble.what if trouble else None, "images": rows})
        return
    cells = [(Cell(row["name"], "bold"), row["reference"], _size(row), Cell(row["summary"], "dim")) for row in rows]
    screen.table(("IMAGE", "REFERENCE", "ON ENGINE", "SUMMARY"), cells, right=("ON ENGINE",))
    if trouble is not None:
        screen.hint(trouble.what, trouble.hint)
    screen.hint("labctl image build    build what is missing", "labctl image pull LAB    all that a lab needs")


@app.command("build")
def build(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]…", help="All when none is named.", autocompletion=_names)
    ] = None,
    profile: ProfileOption = None,
    json: Json = False,
) -> int:
    """Build images of docker/ that this host's engine lacks, each after the one it is built on."""
    from labctl import settings
    from labctl.images import catalog

    chosen = settings.load()
    wanted = [catalog.find(name).title for name in names] if names else [image.title for image in catalog.images()]
    size = profile or chosen.profile or "cpu"
    return _bring([(image, size) for image in wanted], chosen, json=json)


@app.command("pull")
def pull(
    lab: Annotated[list[str], typer.Argument(metavar="LAB…", help="Labs, by id or folder.", autocompletion=labs)],
    profile: ProfileOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is missing, and bring nothing.")] = False,
    json: Json = False,
) -> int:
    """Bring every image that labs need, pulled or built: before a class, or before the network goes."""
    from labctl import settings
    from labctl.hosts.bundle.plans import plans
    from labctl.runtimes.docker.parts import images

    chosen = settings.load()
    made = plans(lab, profile, chosen)
    wanted = dict.fromkeys((image, plan.profile) for plan in made for image in images(plan))
    return _look(list(wanted), chosen, json=json) if dry_run else _bring(list(wanted), chosen, json=json)


def _look(wanted: Sequence[Wanted], chosen: Settings, *, json: bool) -> int:
    """Show which of `wanted` the engine lacks."""
    from labctl.images import catalog
    from labctl.images.engine import connect, is_present

    client = connect(chosen)
    references = dict.fromkeys(catalog.reference(image, profile, chosen) for image, profile in wanted)
    states = {name: "unchanged" if is_present(client, name) else "missing" for name in references}
    if json:
        items = [{"kind": "image", "name": name, "state": state} for name, state in states.items()]
        screen.answer_json({"changed": "missing" in states.values(), "items": items})
    else:
        screen.table(("IMAGE", "STATE"), [(Cell(name, "bold"), state) for name, state in states.items()])
    return 0


def _bring(wanted: Sequence[Wanted], chosen: Settings, *, json: bool) -> int:
    """Bring all of `wanted`; one that fails does not keep the others away. The exit code; raises what went wrong."""
    from labctl.images.build import ensure
    from labctl.images.engine import connect

    client = connect(chosen)
    with Steps(quiet=json) as steps:
        rows, failures = _each(wanted, lambda image, profile: ensure(client, image, profile, chosen, steps))
    rows = [row | _on_engine(client, row["reference"]) if row["reference"] else row for row in rows]
    if json:
        sizes = dict.fromkeys(profile for _, profile in wanted)
        screen.answer_json({"profile": next(iter(sizes), None), "images": rows})
        return EngineError.exit_code if failures else 0
    there = [row for row in rows if row["reference"]]
    if there:
        cells = [(Cell(row["name"], "bold"), row["reference"], _size(row)) for row in there]
        screen.table(("IMAGE", "REFERENCE", "ON ENGINE"), cells, right=("ON ENGINE",))
    if failures:
        raise _together(failures, len(rows))
    screen.hint("labctl up LAB --runtime docker    start a lab in containers")
    return 0


def _each(wanted: Sequence[Wanted], ensure: Ensure) -> tuple[list[Row], list[LabctlError]]:
    rows: list[Row] = []
    failures: list[LabctlError] = []
    for image, profile in wanted:
        row: Row = {"name": image, "reference": None, "present": False, "size_mib": None, "error": None}
        try:
            row["reference"] = ensure(image, profile)
        except LabctlError as error:
            failures.append(error)
            row["error"] = {"code": error.exit_code, "message": error.what, "hint": error.hint}
        rows.append(row)
    return rows, failures


def _together(failures: Sequence[LabctlError], count: int) -> LabctlError:
    if len(failures) == 1 and count == 1:
        return failures[0]
    texts = [f"{error.what}\n    hint: {error.hint}" for error in failures]
    return EngineError(
        "\n  ".join([f"{len(failures)} of {count} images could not be brought:", *texts]),
        "what is there stays; the same command again goes on with the rest",
    )


def _engine(chosen: Settings) -> tuple[Client | None, LabctlError | None]:
    from labctl.images.engine import connect

    try:
        return connect(chosen), None
    except LabctlError as error:
        return None, error


def _on_engine(client: Client | None, reference: str) -> Row:
    """`present` and `size_mib`; both None when no engine can be asked."""
    from labctl.images.engine import size_mib

    if client is None:
        return {"present": None, "size_mib": None}
    size = size_mib(client, reference)
    return {"present": size is not None, "size_mib": size}


def _size(row: Row) -> Cell:
    from labctl.units import format_mib

    if row["present"] is None:
        return Cell("?", "yellow")
    return Cell(format_mib(row["size_mib"]), "green") if row["present"] else Cell("–", "dim")
