"""`lab test`: one lab proved as one watches, or several side by side with a table at the end."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labctl.cli import screen
from labctl.cli.options import Json, ProfileOption, RuntimeOption, labs
from labctl.cli.steps import Steps
from labctl.cli.table import Cell
from labctl.errors import EXIT_FAILED_CRITERIA, LabctlError, UsageError

if TYPE_CHECKING:
    from labctl.progress import Step
    from labctl.sessions.context import Context
    from labctl.sessions.crew import Proved, Task
    from labctl.sessions.proofs import Proof
    from labctl.sessions.prove import Round


def prove_lab(
    labs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[LAB]…", help="Labs' ids, or folders with a slash in them.", autocompletion=labs),
    ] = None,
    all: Annotated[
        bool, typer.Option("--all", help="Every built-in lab and those of LABCTL_LABS, but what was proved before.")
    ] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, max=64, help="How many labs at the same time.")] = 1,
    force: Annotated[
        bool, typer.Option("--force", help="With --all: also what was proved before and has not changed since.")
    ] = False,
    no_mutants: Annotated[
        bool, typer.Option("--no-mutants", help="Only starter and solution: enough to see a lab run somewhere else.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="ROUND", help="Of one lab, just this: starter, solution or a mutant's name."),
    ] = None,
    runtime: RuntimeOption = None,
    profile: ProfileOption = None,
    json: Json = False,
) -> int:
    """Prove labs: the starter passes nothing, each mutant fails what it must, the solution passes all, twice."""
    from labctl.cli.context import context

    chosen = list(dict.fromkeys(labs or ()))
    if bool(chosen) == all:
        what = "--all and LAB exclude each other" if all else "which lab?"
        raise UsageError(what, "name labs, or say --all; `labctl list` shows the labs there are")
    if only and len(chosen) != 1:
        raise UsageError("--only is for one lab", f"run `labctl lab test LAB --only {only[0]}` for each")
    ctx = context()
    if len(chosen) == 1:
        return _prove_one(ctx, chosen[0], runtime, profile, with_mutants=not no_mutants, only=only or (), json=json)
    tasks = [
        replace(task, with_mutants=not no_mutants) for task in _tasks(ctx, None if all else chosen, runtime, profile)
    ]
    before = {} if force or not all else _proved_before(ctx, tasks)
    return _prove_several(ctx, tasks, before, jobs, json=json)


def _prove_one(
    ctx: Context,
    lab: str,
    runtime: str | None,
    profile: str | None,
    *,
    with_mutants: bool,
    only: Collection[str],
    json: bool,
) -> int:
    from labctl.sessions.prove import prove

    with Steps(quiet=json) as steps:
        rounds = prove(
            ctx,
            lab,
            steps,
            runtime=runtime,
            profile=profile,
            on_round=lambda each: None if json else _tell(each),
            with_mutants=with_mutants,
            only=only,
        )
    ok = all(each.ok for each in rounds)
    if json:
        screen.answer_json({"lab": lab, "ok": ok, "rounds": [_json(each) for each in rounds]})
    elif ok:
        counted = "1 round, as it must be" if len(rounds) == 1 else f"{len(rounds)} rounds, all as they must be"
        screen.answer(f"{lab}: {counted}")
    return 0 if ok else EXIT_FAILED_CRITERIA


def _tasks(ctx: Context, names: Sequence[str] | None, runtime: str | None, profile: str | None) -> list[Task]:
    """Those labs, or all of them. Raises NotFoundError."""
    from labctl.labs import catalog
    from labctl.sessions.crew import Task

    if names is None:
        places = {*ctx.settings.labs, catalog.builtin_folder()}
        folders = [row.path for row in catalog.summaries(ctx.settings.labs) if row.path.parent in places]
    else:
        folders = [catalog.find(name, ctx.settings.labs) for name in names]
    return [Task(lab=folder.name, folder=str(folder), runtime=runtime, profile=profile) for folder in folders]


def _proved_before(ctx: Context, tasks: Sequence[Task]) -> dict[Task, Proof]:
    """The proofs that still hold, by lab; what is wrong with a lab file comes out when it is proved."""
    from labctl.labs.lab import load_folder
    from labctl.sessions import proofs

    found = {}
    for task in tasks:
        try:
            lab = load_folder(Path(task.folder))
            proof = proofs.holds(ctx, proofs.subject(ctx, lab, task.runtime, task.profile))
        except LabctlError:
            continue
        if proof:
            found[task] = proof
    return found


def _prove_several(ctx: Context, tasks: Sequence[Task], before: dict[Task, Proof], jobs: int, *, json: bool) -> int:
    from labctl.cli.context import context
    from labctl.sessions.crew import prove_all

    began = time.monotonic()
    due = _longest_first(ctx, [task for task in tasks if task not in before])
    with Steps(quiet=json) as steps:
        teller = _Teller(steps, quiet=json)
        proved = dict(zip(due, prove_all(context, due, at_once=jobs, tell=teller), strict=True))
    ok = all(each.ok for each in proved.values())
    wall_s = time.monotonic() - began
    if json:
        rows = [_lab_json(task.lab, proved.get(task), before.get(task)) for task in tasks]
        screen.answer_json({"ok": ok, "wall_s": round(wall_s, 1), "labs": rows})
    else:
        _print_table(tasks, proved, before, wall_s)
    return 0 if ok else EXIT_FAILED_CRITERIA


def _longest_first(ctx: Context, tasks: Sequence[Task]) -> list[Task]:
    """By what each took last, the unknown before all, so that no long one is left over for the end."""
    from labctl.sessions import proofs

    def took(task: Task) -> float:
        proof = proofs.last(ctx, task.lab, task.runtime or ctx.settings.runtime, task.profile or ctx.settings.profile)
        return proof.wall_s if proof else math.inf

    return sorted(tasks, key=took, reverse=True)


class _Teller:
    """Says what several labs do, each line with the lab's name."""

    def __init__(self, steps: Steps, *, quiet: bool) -> None:
        self._steps = steps
        self._quiet = quiet

    def __call__(self, lab: str, said: Step | Round | Proved) -> None:
        from dataclasses import replace

        from labctl.progress import Step
        from labctl.sessions.prove import Round

        if isinstance(said, Step):
            self._steps(replace(said, name=f"{lab}: {said.name}"))
        elif isinstance(said, Round):
            if not self._quiet:
                _tell(said, lab)
        else:
            self._steps.forget(f"{lab}: ")
            if said.error and not self._quiet:
                screen.line(Cell("✗", "red"), Cell(lab, "bold"), Cell(said.error.splitlines()[0], "red"))


def _tell(each: Round, lab: str = "") -> None:
    mark, style = ("✓", "green") if each.ok else ("✗", "red")
    total = len(each.passed) + len(each.not_passed)
    passed = f"{len(each.passed)}/{total} pass, wanted: {each.expected}"
    screen.line(Cell(mark, style), *([lab] if lab else []), Cell(each.name, "bold"), passed)
    for problem in each.problems:
        screen.line(Cell(f"    {problem}", "red"))


def _print_table(tasks: Sequence[Task], proved: dict[Task, Proved], before: dict[Task, Proof], wall_s: float) -> None:
    from labctl.units import format_duration

    rows = []
    for task in tasks:
        done = proved.get(task)
        outcome = Cell(*_outcome(done, before.get(task)))
        took = format_duration(done.wall_s) if done else "–"
        rows.append((Cell(task.lab, "bold"), str(len(done.rounds)) if done else "–", outcome, took))
    screen.line()
    screen.table(("LAB", "ROUNDS", "OUTCOME", "TIME"), rows, right=("ROUNDS", "TIME"))
    right = sum(done.ok for done in proved.values())
    screen.hint(f"{right} of {len(tasks)} labs proved in {format_duration(wall_s)}")


def _outcome(proved: Proved | None, before: Proof | None) -> tuple[str, str]:
    if proved is None:
        return (f"proved before ({before.profile}), {before.at:%Y-%m-%d %H:%M} UTC", "dim") if before else ("", "")
    if proved.error:
        return proved.error.splitlines()[0], "red"
    wrong = [each for each in proved.rounds if not each.ok]
    return (f"wrong: {', '.join(each.name for each in wrong)}", "red") if wrong else ("proved", "green")


def _lab_json(lab: str, proved: Proved | None, before: Proof | None) -> dict[str, Any]:
    from labctl.store.records import iso

    if proved is None:
        return {"lab": lab, "ok": True, "proved_before": iso(before.at) if before else None, "rounds": []}
    rounds = [_json(each) for each in proved.rounds]
    wall_s = round(proved.wall_s, 1)
    return {"lab": lab, "ok": proved.ok, "error": proved.error or None, "wall_s": wall_s, "rounds": rounds}


def _json(each: Round) -> dict[str, object]:
    return {
        "name": each.name,
        "expected": each.expected,
        "ok": each.ok,
        "passed": list(each.passed),
        "not_passed": list(each.not_passed),
        "problems": list(each.problems),
        "duration_s": each.report.duration_s,
    }
