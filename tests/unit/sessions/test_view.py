"""What `status` and `up` tell of a workspace that holds more than the lab's disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.sessions.context import Context
from labctl.sessions.up import UpRequest, up
from labctl.sessions.view import view, views
from labctl.store.records import Session


@pytest.fixture
def session(ctx: Context, write_lab: Callable[..., Path]) -> Session:
    """A session on a runtime that says how much disk the lab has: 2 MiB."""
    write_lab()
    made = up(ctx, UpRequest(lab="small-lab", learner="ada"), lambda _step: None).session
    return ctx.store.put(replace(made, handle={**made.handle, "disk_mib": 2}))


def test_a_workspace_within_the_labs_disk_is_not_mentioned(ctx: Context, session: Session) -> None:
    Path(session.workspace, "data").write_bytes(b"x" * 1_000_000)
    with Path(session.workspace, "holes").open("wb") as holes:
        holes.truncate(10**12)
    assert view(ctx, session).note == ""


def test_a_workspace_beyond_the_labs_disk_is_told(ctx: Context, session: Session) -> None:
    for number in range(3):
        Path(session.workspace, f"part{number}").write_bytes(b"x" * 1024 * 1024)
    expected = "the workspace holds 3 MiB, the lab's disk is 2 MiB: delete what is not needed"
    assert view(ctx, session).note == expected
    assert [each.note for each in views(ctx, [session])] == [expected]


def test_of_many_sessions_no_workspace_is_measured(ctx: Context, session: Session) -> None:
    Path(session.workspace, "large").write_bytes(b"x" * 5 * 1024 * 1024)
    assert [each.note for each in views(ctx, [session, session])] == ["", ""]


def test_a_runtime_that_names_no_disk_is_not_asked_for_it(ctx: Context, session: Session) -> None:
    Path(session.workspace, "large").write_bytes(b"x" * 5 * 1024 * 1024)
    assert view(ctx, replace(session, handle={"session": session.id})).note == ""


def test_a_workspace_that_is_gone_is_no_trouble(ctx: Context, session: Session) -> None:
    assert view(ctx, replace(session, workspace=f"{session.workspace}/nowhere")).note == ""
