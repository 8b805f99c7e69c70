"""`labctl run`: a GPU for one command. An editor needs none, and whoever trains for ten minutes needs one for ten minutes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.errors import NotFoundError, UsageError
from labctl.sessions.claims import Claim, lock_name, need_of
from labctl.sessions.context import Context
from labctl.sessions.gpus import grant
from labctl.sessions.presence import present
from labctl.store.lock import session_lock
from labctl.store.records import Session, SessionState

if TYPE_CHECKING:
    from labctl.gpus.need import Need
    from labctl.progress import Progress
    from labctl.runtimes.base import Runtime

JOB = "job"


def borrow(
    ctx: Context,
    session: Session,
    command: Sequence[str],
    progress: Progress,
    *,
    wait: bool = True,
    waiting: Callable[[], None] = lambda: None,
) -> int:
    """Run `command` in the session with the GPUs that its lab's gpu profile asks for; its exit code. They go back when it
    ends, and soon after this process was killed. A session that holds GPUs itself uses those.

    `waiting` is called when another job of the session must end first. Raises UsageError for a lab without GPUs,
    PreflightError when none can be had, NotFoundError for a session that does not run.
    """
    if session.state not in (SessionState.RUNNING, SessionState.FAILED):
        hint = f"bring it back: `labctl up {session.name_for(ctx.settings.learner)}`"
        raise NotFoundError(f"{session.id} is {session.state.value}, not RUNNING", hint)
    runtime = ctx.runtime(session.runtime)
    with present(ctx.settings.home, session.id, "run"):
        if session.gpus:
            return runtime.exec(session.handle, command)
        claim = Claim(session=session.id, lab=session.lab, learner=session.learner, need=_need(session), purpose=JOB)
        with session_lock(ctx.settings.home, lock_name(session.id, JOB), waiting=waiting):
            return _run(ctx, runtime, session, claim, command, progress, wait=wait)


def _run(
    ctx: Context,
    runtime: Runtime,
    session: Session,
    claim: Claim,
    command: Sequence[str],
    progress: Progress,
    *,
    wait: bool,
) -> int:
    """The caller holds the job's lock until what is borrowed is given back: who finds it free knows that we died."""
    try:
        allocation = grant(ctx, runtime, claim, progress, wait=wait)
        return runtime.run(session.handle, command, allocation.gpus)
    finally:
        with ctx.store.allocating() as table:
            table.release(session.id, ctx.now(), "the command ended", purpose=JOB)


def _need(session: Session) -> Need:
    from labctl.labs.lab import load_folder

    profile = load_folder(Path(session.lab_path)).spec.profiles.get("gpu")
    if profile is None or profile.gpu is None:
        name = session.lab
        raise UsageError(f"{name} asks for no GPU in any profile", f"run it without one: `labctl exec {name} -- CMD`")
    return need_of(profile.gpu)
