"""`list` and `show`: what labs there are, and what one of them asks."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labctl.cli import screen
from labctl.cli.options import Json, LabArgument, Quiet
from labctl.cli.table import Cell

if TYPE_CHECKING:
    from labctl.labs.catalog import Summary
    from labctl.labs.courses import Course
    from labctl.labs.lab import Lab
    from labctl.labs.spec import Profile
    from labctl.store.records import Progress


def list_(
    stage: Annotated[int | None, typer.Option("--stage", "-s", min=0, max=4, help="Only labs of this stage.")] = None,
    course: Annotated[
        str | None,
        typer.Option(
            "--course", "-c", help="A course: its labs and reading in order, what is next, and what is locked."
        ),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show the labs: stage, time, needs and how far you are."""
    from labctl import settings
    from labctl.labs import catalog
    from labctl.store.store import Store

    chosen = settings.load()
    rows = catalog.summaries(chosen.labs, cache=chosen.home / "cache" / "labs.json")
    followed = None
    if course is not None:
        from labctl.labs import courses

        followed = courses.load(course, rows, chosen.labs)
        by_id = {row.id: row for row in rows}
        rows = [by_id[id] for id in followed.labs]
    rows = [row for row in rows if stage is None or row.stage == stage]
    progress = Store(chosen).progress(chosen.learner)
    if json:
        _answer_json(rows, progress, followed)
    elif quiet:
        for row in rows:
            screen.answer(row.id)
    elif followed:
        from labctl.cli.courses import print_course

        print_course(followed, rows, progress, {row.id: _needs(row) for row in rows})
    else:
        _print_list(rows, progress)


def show(lab: LabArgument, json: Json = False) -> None:
    """Show a lab: objectives, services, needs, criteria, instructions."""
    from labctl import settings
    from labctl.labs.lab import load

    found = load(lab, settings.load().labs)
    instructions = found.path / "README.md"
    text = instructions.read_text(encoding="utf-8") if instructions.is_file() else ""
    if json:
        values = found.spec.model_dump(mode="json", by_alias=True)
        screen.answer_json({"id": found.id, "path": str(found.path), **values, "instructions": text})
        return
    _print_lab(found, text)


def _answer_json(rows: list[Summary], progress: dict[str, Progress], followed: Course | None) -> None:
    values = [_row_json(row, progress.get(row.id)) for row in rows]
    if followed is None:
        screen.answer_json({"labs": values})
        return
    from labctl.cli.courses import course_json, passed_labs

    screen.answer_json(course_json(followed, values, passed_labs(progress)))


def _row_json(row: Summary, progress: Progress | None) -> dict[str, Any]:
    values = asdict(row) | {"path": str(row.path), "profiles": list(row.profiles)}
    best = {"score": progress.score, "max_score": progress.max_score, "passed": progress.passed} if progress else None
    return values | {"progress": best}


def _print_list(rows: list[Summary], progress: dict[str, Progress]) -> None:
    cells = [
        (
            Cell(row.id, "bold"),
            Cell(row.problem.splitlines()[0] if row.problem else row.title, "red" if row.problem else ""),
            str(row.stage) if row.stage is not None else "",
            f"{row.minutes} min" if row.minutes else "",
            Cell(_needs(row)),
            Cell(*_progress(progress.get(row.id))),
        )
        for row in rows
    ]
    screen.table(("LAB", "TITLE", "STAGE", "TIME", "NEEDS", "YOU"), cells, right=("STAGE", "TIME"))
    screen.hint("labctl show LAB    what a lab asks", "labctl up LAB      start it")


def _needs(row: Summary) -> str:
    gpu = f"GPU {row.gpu_memory}" if row.gpu_memory else "GPU" if "gpu" in row.profiles else ""
    if "cpu" not in row.profiles:
        return gpu
    return f"{row.memory} RAM" + (f", or {gpu}" if gpu else "")


def _progress(progress: Progress | None) -> tuple[str, str]:
    if progress is None:
        return "–", "dim"
    if progress.passed:
        return "passed", "green"
    return f"{progress.score}/{progress.max_score}", "yellow"


def _print_lab(lab: Lab, instructions: str) -> None:
    spec = lab.spec
    screen.line(Cell(f"{lab.id} · {spec.title}", f"bold {screen.ACCENT}"))
    screen.line(Cell(f"stage {spec.stage} · about {spec.minutes} minutes · {lab.path}", "dim"))
    for objective in spec.objectives:
        screen.line(f"  • {objective}")
    screen.line()
    profiles = [(name, Cell(_profile(profile))) for name, profile in spec.profiles.items()]
    screen.table(("PROFILE", "NEEDS"), profiles)
    screen.line()
    if spec.services:
        services = [
            (name, Cell(", ".join(f"{port} {n}" for port, n in s.ports.items()))) for name, s in spec.services.items()
        ]
        screen.table(("SERVICE", "PORTS"), services)
        screen.line()
    criteria = [(c.id, Cell(c.text), str(c.points)) for c in spec.criteria]
    screen.table(("CRITERION", "TEXT", "POINTS"), criteria, right=("POINTS",))
    screen.line()
    if instructions:
        from rich.markdown import Markdown

        out = screen.console(sys.stdout)
        out.print(Markdown(instructions, hyperlinks=out.is_terminal))
    screen.hint(f"labctl up {lab.id}    start it")


def _profile(profile: Profile) -> str:
    from labctl.units import format_mib

    parts = [f"{format_mib(profile.memory)} memory", f"{format_mib(profile.disk)} disk"]
    if profile.gpu:
        need = profile.gpu
        capability = f", compute capability {need.compute_capability}" if need.compute_capability else ""
        parts.append(f"{need.count} GPU with {format_mib(need.memory)} ({need.sharing}{capability})")
    names = profile.model_names
    if names:
        parts.append(f"model{'s' if len(names) > 1 else ''} {', '.join(names)}")
    return " · ".join(parts)
