"""For lab authors: `solve` applies a lab's solution to a session, `prove` shows that the lab's criteria tell right from wrong."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import psutil

from labctl.errors import EngineError, UsageError
from labctl.labs.answers import NOT_COPIED, Answer, mutants, solution
from labctl.labs.lab import Lab, load, load_folder
from labctl.names import session_id
from labctl.outcomes import Outcome, Report
from labctl.progress import Progress, Step
from labctl.sessions import proofs
from labctl.sessions import workspace as workspaces
from labctl.sessions.context import Context
from labctl.sessions.end import down
from labctl.sessions.proofs import Subject
from labctl.sessions.up import UpRequest, up
from labctl.sessions.verify import verify
from labctl.store.records import Session

TEST_TTL_S = 2 * 3600.0
TEST_LEARNER = "lab-test"

Judge = Callable[[str, Session, frozenset[str]], None]
"""Called with the round's name, its session, and the criteria that must not pass."""
Fresh = Callable[[], AbstractContextManager[Session]]
"""A session of its own, ended when the block is left."""


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


def solve(ctx: Context, session: Session, progress: Progress) -> str:
    """Apply the lab's solution to a session's workspace and run its steps; the dated copy of what was there before."""
    lab = load_folder(Path(session.lab_path))
    copy = workspaces.of(ctx, session).keep_copy(ctx.now())
    apply(ctx, session, solution(lab), progress)
    return copy


def apply(ctx: Context, session: Session, answer: Answer, progress: Progress) -> None:
    """Lay an answer's files over the workspace and run its steps in the session. Raises EngineError for a failing step."""
    place = workspaces.of(ctx, session)
    with place.held():
        for folder in answer.layers:
            workspaces.overlay(folder, place, NOT_COPIED)
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
    with_mutants: bool = True,
    only: Collection[str] = (),
    wait: bool = False,
) -> list[Round]:
    """Starter, solution, each mutant, and the solution once more, each judged; every session fresh but the first two, and
    those of mutants when the lab says `test: {keep_services: true}`. Names in `only` (`starter`, `solution`, mutants') leave
    out all other rounds; raises UsageError for one that the lab does not have.

    The starter must pass no criterion, a mutant all but those it names, the solution every one, twice. A lab that was proved
    as it stands, mutants and all, is remembered (`proofs`). With `wait` its sessions stand in line for their GPUs.
    """
    lab = load(lab_name, ctx.settings.labs)
    what = proofs.subject(ctx, lab, runtime, profile)
    digest, began = proofs.digest(ctx, what), time.monotonic()
    _end_leftovers(ctx, progress)
    rounds: list[Round] = []

    def judge(name: str, session: Session, fails: frozenset[str]) -> None:
        rounds.append(_judge(ctx, lab, name, session, fails))
        on_round(rounds[-1])

    wrong = _chosen(lab, mutants(lab) if with_mutants else [], only)
    _prove(ctx, partial(_fresh, ctx, what, progress, wait=wait), lab, wrong, only, progress, judge)
    is_unchanged = proofs.digest(ctx, replace(what, lab=load_folder(lab.path))) == digest
    if with_mutants and not only and is_unchanged and all(each.ok for each in rounds):
        used = rounds[0].report.profile
        proofs.keep(ctx, what, digest, profile=used, rounds=len(rounds), wall_s=time.monotonic() - began)
    return rounds


def _chosen(lab: Lab, wrong: Sequence[Answer], only: Collection[str]) -> list[Answer]:
    """The mutants to prove. Raises UsageError for a name that is no round of this lab."""
    known = ["starter", "solution", *(mutant.name for mutant in wrong)]
    for name in only:
        if name not in known:
            raise UsageError(f"{lab.id} has no round {name!r}", f"its rounds are {', '.join(known)}")
    return [mutant for mutant in wrong if not only or mutant.name in only]


def _prove(
    ctx: Context,
    fresh: Fresh,
    lab: Lab,
    wrong: Sequence[Answer],
    only: Collection[str],
    progress: Progress,
    judge: Judge,
) -> None:
    right = solution(lab)  # a mistake in it is told at once
    with ExitStack() as kept:
        session = kept.enter_context(fresh())
        is_at_the_start = True
        if not only or "starter" in only:
            judge("starter", session, frozenset(criterion.id for criterion in lab.spec.criteria))
        if not only or "solution" in only:
            apply(ctx, session, right, progress)
            judge("solution", session, frozenset())
            is_at_the_start = False
        for mutant in wrong:
            if is_at_the_start:
                is_at_the_start = False
            elif lab.spec.test.keep_services:
                session = _back_to_the_start(ctx, lab, session, progress)
            else:
                kept.close()
                session = kept.enter_context(fresh())
            apply(ctx, session, mutant, progress)
            judge(f"mutant {mutant.name}", session, mutant.fails)
    if not only:
        with fresh() as session:
            apply(ctx, session, right, progress)
            judge("solution again", session, frozenset())


@contextmanager
def _fresh(ctx: Context, what: Subject, progress: Progress, *, wait: bool) -> Iterator[Session]:
    """A session of its own, with a workspace of its own, ended whatever happens."""
    with tempfile.TemporaryDirectory(prefix="labctl-test-") as folder:
        learner = f"{TEST_LEARNER}-{os.getpid()}"  # two tests of one lab at once do not meet
        request = UpRequest(
            lab=str(what.lab.path),
            learner=learner,
            runtime=what.runtime,
            profile=what.profile,
            workspace=Path(folder) / "workspace" if _is_on_host(ctx, what, learner) else None,
            ttl_s=TEST_TTL_S,
            wait=wait,
        )
        try:
            yield up(ctx, request, progress).session
        finally:
            _end(ctx, session_id(what.lab.id, learner), progress)


def _is_on_host(ctx: Context, what: Subject, learner: str) -> bool:
    runtime = ctx.runtime(what.runtime or ctx.settings.runtime)
    return runtime.workspace({"session": session_id(what.lab.id, learner)}) is None


def _back_to_the_start(ctx: Context, lab: Lab, session: Session, progress: Progress) -> Session:
    """The session with the starter in its workspace and nothing else, and the learner's services started anew on it.

    They run the learner's code, and may hold or have written anything; nobody else's is told that time has gone back.
    """
    own = [name for name, service in lab.spec.services.items() if service.owner == "learner"]
    ctx.runtime(session.runtime).end_services(session.handle, own, progress)
    workspaces.restore(lab.path, workspaces.of(ctx, session), [])
    request = UpRequest(lab=str(lab.path), learner=session.learner, runtime=session.runtime, profile=session.profile)
    return up(ctx, request, progress).session


def _end(ctx: Context, id: str, progress: Progress) -> None:
    """End the session if it lives; an impatient Ctrl-C in the middle of that is obeyed when nothing is left of it."""
    session = ctx.store.session(id)
    if session is None or not session.live:
        return
    is_elsewhere = workspaces.of(ctx, session).folder is None
    try:
        down(ctx, session, progress, purge=is_elsewhere)
    except KeyboardInterrupt:
        down(ctx, session, progress, purge=is_elsewhere)
        raise


def _end_leftovers(ctx: Context, progress: Progress) -> None:
    """What a test left behind that was killed: its learner bears the number of a process that is no more."""
    for session in ctx.store.sessions(live=True):
        head, _, pid = session.learner.rpartition("-")
        if head == TEST_LEARNER and not psutil.pid_exists(int(pid)):
            down(ctx, session, progress, purge=workspaces.of(ctx, session).folder is None)


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
