"""`run`: a GPU for one command, and never longer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.errors import NotFoundError, PreflightError, UsageError
from labctl.gpus.inventory import Gpu, Inventory
from labctl.sessions.borrow import JOB, borrow
from labctl.sessions.claims import lock_name
from labctl.sessions.collected import Collected
from labctl.sessions.context import Context
from labctl.sessions.reclaim import reclaim
from labctl.sessions.up import UpRequest, up
from labctl.store.lock import is_locked, session_lock
from labctl.store.records import Held, Session, SessionState
from labctl.testing.runtime import FakeRuntime
from tests.conftest import LAB, Clock

ID = "small-lab--ada"
GPU_LAB = LAB.replace(
    "profiles:\n", "profiles:\n  gpu: {memory: 64MiB, disk: 16MiB, gpu: {memory: 1GiB, sharing: exclusive}}\n"
)
SHOW = ["sh", "-c", 'echo "$CUDA_VISIBLE_DEVICES" > got; exit 7']


def quiet(_step: object) -> None: ...


@pytest.fixture
def session(ctx: Context, engine: FakeRuntime, write_lab: Callable[..., Path]) -> Session:
    """A session without a GPU, on a host that has one."""
    write_lab(text=GPU_LAB)
    gpu = Gpu(
        index=0, uuid="GPU-1", name="H100", memory_total_mib=81920, memory_free_mib=81920, compute_capability="9.0"
    )
    engine.inventory = Inventory(source="fake", gpus=(gpu,))
    return up(ctx, UpRequest(lab="small-lab", learner="ada", profile="cpu"), quiet).session


def got(session: Session) -> str:
    return Path(session.workspace, "got").read_text().strip()


def test_the_command_has_a_gpu_and_its_exit_code_and_then_the_gpu_is_free(ctx: Context, session: Session) -> None:
    assert borrow(ctx, session, SHOW, quiet) == 7
    assert got(session) == "GPU-1"
    assert ctx.store.held() == []
    (row,) = ctx.store.held(released=True)
    assert (row.session, row.learner, row.purpose, row.why_released) == (ID, "ada", "job", "the command ended")
    assert ctx.store.session(ID) == session


def test_a_command_that_cannot_be_run_gives_back_too(ctx: Context, session: Session) -> None:
    with pytest.raises(NotFoundError):
        borrow(ctx, replace(session, handle={"session": ID}), SHOW, quiet)
    assert ctx.store.held() == []
    assert not is_locked(ctx.settings.home, lock_name(ID, JOB))


def test_a_session_with_a_gpu_uses_its_own(ctx: Context, session: Session) -> None:
    own = up(ctx, UpRequest(lab="small-lab", learner="ada", profile="gpu"), quiet).session
    assert borrow(ctx, own, ["true"], quiet) == 0
    assert [row.purpose for row in ctx.store.held(released=True)] == ["session"]


def test_without_a_free_gpu_it_is_refused_in_words(ctx: Context, session: Session) -> None:
    up(ctx, UpRequest(lab="small-lab", learner="bob", profile="gpu"), quiet)
    with pytest.raises(PreflightError, match="bob"):
        borrow(ctx, session, SHOW, quiet, wait=False)
    assert [row.session for row in ctx.store.held()] == ["small-lab--bob"]


def test_a_lab_that_asks_for_no_gpu_has_none_to_borrow(ctx: Context, write_lab: Callable[..., Path]) -> None:
    write_lab()
    session = up(ctx, UpRequest(lab="small-lab", learner="ada"), quiet).session
    with pytest.raises(UsageError, match="asks for no GPU") as caught:
        borrow(ctx, session, SHOW, quiet)
    assert caught.value.hint == "run it without one: `labctl exec small-lab -- CMD`"


def test_a_session_that_does_not_run_borrows_nothing(ctx: Context, session: Session) -> None:
    with pytest.raises(NotFoundError, match="is STARTING, not RUNNING"):
        borrow(ctx, replace(session, state=SessionState.STARTING), SHOW, quiet)


def test_what_a_killed_run_held_goes_back_and_what_a_living_one_holds_does_not(
    ctx: Context, session: Session, clock: Clock
) -> None:
    row = Held(
        session=ID,
        lab="small-lab",
        learner="ada",
        uuid="GPU-1",
        name="H100",
        sharing="exclusive",
        purpose=JOB,
        since=clock(),
    )
    with session_lock(ctx.settings.home, lock_name(ID, JOB)), ctx.store.allocating() as table:
        table.take([row])
        assert reclaim(ctx, quiet) == []
    assert reclaim(ctx, quiet, dry_run=True) == [Collected(session=ID, why="`labctl run` died", what="gpu")]
    assert len(ctx.store.held()) == 1
    assert reclaim(ctx, quiet) == [Collected(session=ID, why="`labctl run` died", what="gpu")]
    assert ctx.store.held() == []
