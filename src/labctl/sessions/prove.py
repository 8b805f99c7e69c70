"""For lab authors: `solve` applies a lab's solution to a session, `prove` shows that the lab's criteria tell right from wrong."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from labctl.errors import EngineError
from labctl.labs.answers import NOT_COPIED, Answer, mutants, solution
from labctl.labs.lab import Lab, load, load_folder
from labctl.names import session_id
from labctl.outcomes import Outcome, Report
from labctl.progress import Progress, Step
from labctl.sessions import workspace as workspaces
from labctl.sessions.context import Context
from labctl.sessions.end import down
from labctl.sessions.up import UpRequest, up
from labctl.sessions.verify import verify
from labctl.store.records import Session

TEST_TTL_S = 2 * 3600.0
TEST_LEARNER = "lab-test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One verification of `lab test`: what was tried, which criteria passed, and what was wrong with that (if anything)."""

    name: str
    expected: str
    passed: tuple[str, ...]
    not_passed: tuple[str, ...]
    problems: tuple[str, ...]
    report: Report

    @property
    def ok(self) -> bool:
        return not self.problems


def solve(ctx: Context, session: Session, progress: Progress) -> Path:
    """Apply the lab's solution to a session's workspace and run its steps; the dated copy of what was there before."""
    lab = load_folder(Path(session.lab_path))
    copy = workspaces.keep_copy(Path(session.workspace), ctx.now())
    apply(ctx, session, solution(lab), progress)
    return copy


def apply(ctx: Context, session: Session, answer: Answer, progress: Progress) -> None:
    """Lay an answer's files over the workspace and run its steps in the session. Raises EngineError for a failing step."""
    for folder in answer.layers:
        workspaces.overlay(folder, Path(session.workspace), NOT_COPIED)
    target = ctx.runtime(session.runtime).target(session.handle)
    for step in answer.steps.steps:
        name = " ".join(step)
        progress(Step(name=name, state="started"))
        result = target.run(step, timeout_s=answer.steps.timeout)
        if result.exit_code != 0:
            tail = "\n".join((result.stdout + result.stderr).strip().splitlines()[-15:])
            why = (
                f"was killed after {answer.steps.timeout:g}s" if result.timed_out else f"ended with {result.exit_code}"
            )
            raise EngineError(f"{answer.name}: `{name}` {why}:\n{tail}", "run it yourself with `labctl exec`")
        progress(Step(name=name, state="done"))


def prove(
    ctx: Context,
    lab_name: str,
    progress: Progress,
    *,
    runtime: str | None,
    profile: str | None,
    on_round: Callable[[Round], None],
) -> list[Round]:
    """Starter, solution, each mutant, and the solution once more, each judged; every session fresh but the first two.

    The starter must pass no criterion, a mutant all but those it names, the solution every one, twice.
    """
    lab = load(lab_name, ctx.settings.labs)
    _end_leftovers(ctx, progress)
    rounds: list[Round] = []

    def judge(name: str, session: Session, fails: frozenset[str]) -> None:
        rounds.append(_judge(ctx, lab, name, session, fails))
        on_round(rounds[-1])

    everything = frozenset(criterion.id for criterion in lab.spec.criteria)
    with _fresh(ctx, lab, runtime, profile, progress) as session:
        judge("starter", session, everything)
        apply(ctx, session, solution(lab), progress)
        judge("solution", session, frozenset())
    for mutant in mutants(lab):
        with _fresh(ctx, lab, runtime, profile, progress) as session:
            apply(ctx, session, mutant, progress)
            judge(f"mutant {mutant.name}", session, mutant.fails)
    with _fresh(ctx, lab, runtime, profile, progress) as session:
        apply(ctx, session, solution(lab), progress)
        judge("solution again", session, frozenset())
    return rounds


@contextmanager
def _fresh(ctx: Context, lab: Lab, runtime: str | None, profile: str | None, progress: Progress) -> Iterator[Session]:
    """A session of its own, with a workspace of its own, ended whatever happens."""
    with tempfile.TemporaryDirectory(prefix="labctl-test-") as folder:
        place = Path(folder) / "workspace"
        learner = f"{TEST_LEARNER}-{os.getpid()}"  # two tests of one lab at once do not meet
        request = UpRequest(
            lab=str(lab.path), learner=learner, runtime=runtime, profile=profile, workspace=place, ttl_s=TEST_TTL_S
        )
        try:
            yield up(ctx, request, progress).session
        finally:
            session = ctx.store.session(session_id(lab.id, learner))
            if session and session.live:
                down(ctx, session, progress)


def _end_leftovers(ctx: Context, progress: Progress) -> None:
    """What a test left behind that was killed: its learner bears the number of a process that is no more."""
    for session in ctx.store.sessions(live=True):
        head, _, pid = session.learner.rpartition("-")
        if head == TEST_LEARNER and not psutil.pid_exists(int(pid)):
            down(ctx, session, progress)


def _judge(ctx: Context, lab: Lab, name: str, session: Session, fails: frozenset[str]) -> Round:
    report = verify(ctx, session)
    passed = {criterion.id for criterion in report.criteria if criterion.outcome is Outcome.PASS}
    errors = {criterion.id for criterion in report.criteria if criterion.outcome is Outcome.ERROR}
    ids = [criterion.id for criterion in lab.spec.criteria]
    problems = [f"{id} passed" for id in ids if id in passed and id in fails]
    problems += [f"{id} did not pass: {_why(report, id)}" for id in ids if id not in passed and id not in fails]
    problems += [f"{id} could not be looked at: {_why(report, id)}" for id in ids if id in errors and id in fails]
    return Round(
        name=name,
        expected="all pass"
        if not fails
        else "none passes"
        if len(fails) == len(ids)
        else f"fails {', '.join(sorted(fails))}",
        passed=tuple(id for id in ids if id in passed),
        not_passed=tuple(id for id in ids if id not in passed),
        problems=tuple(problems),
        report=report,
    )


def _why(report: Report, id: str) -> str:
    criterion = next(criterion for criterion in report.criteria if criterion.id == id)
    return "; ".join(check.message for check in criterion.checks if check.outcome is not Outcome.PASS)[:300]
