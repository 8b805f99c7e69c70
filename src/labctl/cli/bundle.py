"""`bundle` and `unbundle`: labctl, images and models in one file, for machines without a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from labctl.cli import screen
from labctl.cli.options import Json, ProfileOption, labs
from labctl.cli.steps import Steps
from labctl.cli.table import Cell
from labctl.errors import UsageError

if TYPE_CHECKING:
    from labctl.hosts.bundle.load import Item
    from labctl.hosts.bundle.make import Part
    from labctl.hosts.bundle.manifest import Manifest

_PARTS = ("wheels", "images", "models")
_MARKS = {"loaded": "green", "unchanged": "dim", "missing": "yellow"}
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="|".join(_PARTS), help="Only this part; may be given again.", show_default=False),
]


def bundle(
    lab: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[LAB]…", help="Labs whose images and models go in; none: only labctl.", autocompletion=labs
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where it is written.")] = Path(
        "labctl-bundle.tar"
    ),
    profile: ProfileOption = None,
    only: Only = None,
    json: Json = False,
) -> None:
    """Write labctl, images and models into one file, for machines without a network."""
    from labctl import settings
    from labctl.hosts.bundle.make import Request, make

    target = _target(output)
    request = Request(labs=lab or [], profile=profile, parts=_parts(only), target=target)
    with Steps(quiet=json) as steps:
        manifest, kept = make(request, settings.load(), steps)
    if json:
        screen.answer_json({"file": str(target), "sha256": manifest.digest, "resumed_bytes": kept, **_facts(manifest)})
        return
    _show(manifest)
    screen.line()
    screen.line(Cell("sha256", "dim"), manifest.digest)
    screen.hint(f"labctl unbundle {target.name} --sha256 {manifest.digest[:8]}…    there, when labctl is installed")


def unbundle(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `labctl bundle` wrote.")],
    only: Only = None,
    sha256: Annotated[
        str | None,
        typer.Option("--sha256", metavar="SUM", help="What `labctl bundle` said; another bundle is refused."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is missing here, and load nothing.")] = False,
    json: Json = False,
) -> None:
    """Load what a bundle holds and this machine lacks. Every sum is checked before."""
    from labctl import settings
    from labctl.hosts.bundle import archive
    from labctl.hosts.bundle.load import compare, load

    chosen, parts, digest = settings.load(), _parts(only), _sum(sha256)
    if not file.is_file():
        raise UsageError(f"there is no file {file}", "`labctl bundle LAB -o FILE` makes one")
    with archive.opened(file) as found, Steps(quiet=json) as steps:
        items = compare(found, parts, chosen) if dry_run else load(found, parts, chosen, steps, digest=digest)
        manifest = found.manifest
    if json:
        changed = any(item.state != "unchanged" for item in items)
        rows = [{"kind": item.kind, "name": item.name, "state": item.state, "note": item.note} for item in items]
        screen.answer_json({"sha256": manifest.digest, "changed": changed, "items": rows})
        return
    screen.table(("", "NAME", "STATE", "NOTE"), [_row(item) for item in items])
    screen.hint("labctl doctor    what this machine still lacks")


def _target(output: Path) -> Path:
    if output.is_dir():
        raise UsageError(f"{output} is a folder", f"name a file: -o {output}/labctl-bundle.tar")
    if not output.parent.is_dir():
        raise UsageError(f"there is no folder {output.parent}", f"mkdir -p {output.parent}")
    return output.absolute()


def _parts(only: Sequence[str] | None) -> list[Part]:
    wrong = next((name for name in only or () if name not in _PARTS), None)
    if wrong is not None:
        raise UsageError(f"--only {wrong!r}: a bundle has no such part", f"use one of: {', '.join(_PARTS)}")
    return [cast("Part", part) for part in _PARTS if not only or part in only]


def _sum(text: str | None) -> str | None:
    if text is not None and (len(text) != 64 or set(text.lower()) - set("0123456789abcdef")):
        raise UsageError(f"--sha256 {text!r} is no sum: it has 64 hexadecimal digits", "`labctl bundle` tells it")
    return text


def _facts(manifest: Manifest) -> dict[str, Any]:
    return manifest.model_dump(mode="json", exclude={"form"})


def _show(manifest: Manifest) -> None:
    from labctl.units import format_mib

    wheels = [member for member in manifest.members if member.name.startswith("wheels/")]
    rows = [("wheels", f"{len(wheels)} files", f"for {manifest.python} on {manifest.platform}")] if wheels else []
    rows += [("image", image.reference, image.name) for image in manifest.images]
    rows += [("model", model.name, model.kind) for model in manifest.models]
    screen.table(("", "NAME", ""), [(Cell(kind, "bold"), name, Cell(note, "dim")) for kind, name, note in rows])
    screen.line(Cell(f"{format_mib(manifest.size / 2**20)} in {len(manifest.members)} files", "dim"))


def _row(item: Item) -> tuple[Cell, ...]:
    return Cell(item.kind, "bold"), Cell(item.name), Cell(item.state, _MARKS[item.state]), Cell(item.note, "dim")
