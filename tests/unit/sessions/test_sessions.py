"""A session's life over a fake engine: up, drift, expiry, reset, down, gc. The same on real ones is in tests/conformance."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.errors import EngineError, NotFoundError, PreflightError, UnhealthyError, UsageError
from labctl.outcomes import Outcome
from labctl.runtimes.base import Problem, State
from labctl.sessions.context import Context
from labctl.sessions.end import down, extend, gc
from labctl.sessions.find import find
from labctl.sessions.reset import reset
from labctl.sessions.up import UpRequest, changes, prepare, up
from labctl.sessions.verify import verify
from labctl.sessions.view import view
from labctl.store.records import SessionState, iso
from labctl.testing.runtime import FakeRuntime
from labctl.testing.target import answer
from tests.conftest import LAB, Clock

WriteLab = Callable[..., Path]


@pytest.fixture
def request_up(write_lab: WriteLab) -> UpRequest:
    write_lab()
    return UpRequest(lab="small-lab", learner="ada")


def quiet(_step: object) -> None: ...


def test_up_makes_the_workspace_and_starts_the_services(
    ctx: Context, request_up: UpRequest, engine: FakeRuntime
) -> None:
    seen = up(ctx, request_up, quiet)
    assert seen.session.id == "small-lab--ada"
    assert seen.session.state is SessionState.RUNNING
    assert seen.changed == ("workspace", "page")
    assert Path(seen.session.workspace, "readme.txt").read_text() == "start here\n"
    assert engine.running["small-lab--ada"]["page"][1] is State.RUNNING


def test_a_second_up_changes_nothing(ctx: Context, request_up: UpRequest) -> None:
    first = up(ctx, request_up, quiet)
    again = up(ctx, request_up, quiet)
    assert again.changed == ()
    assert again.session == first.session
    assert changes(prepare(ctx, request_up)) == []


def test_up_restarts_only_what_drifted_and_keeps_the_learners_files(
    ctx: Context, request_up: UpRequest, write_lab: WriteLab
) -> None:
    place = Path(up(ctx, request_up, quiet).session.workspace)
    (place / "readme.txt").write_text("mine now")
    write_lab(text=LAB.replace("http.server,", "http.server, --cgi,"))
    seen = up(ctx, request_up, quiet)
    assert seen.changed == ("page",)
    assert (place / "readme.txt").read_text() == "mine now"


def test_up_mends_a_service_that_died(ctx: Context, request_up: UpRequest, engine: FakeRuntime) -> None:
    up(ctx, request_up, quiet)
    digest, _ = engine.running["small-lab--ada"]["page"]
    engine.running["small-lab--ada"]["page"] = (digest, State.FAILED)
    assert up(ctx, request_up, quiet).changed == ("page",)


def test_an_unhealthy_service_leaves_a_failed_session_that_up_mends(
    ctx: Context, request_up: UpRequest, engine: FakeRuntime
) -> None:
    engine.sick.add("page")
    with pytest.raises(UnhealthyError):
        up(ctx, request_up, quiet)
    failed = find(ctx, "small-lab")
    assert failed.state is SessionState.FAILED
    assert "did not become healthy" in view(ctx, failed).note
    engine.sick.clear()
    assert up(ctx, request_up, quiet).session.state is SessionState.RUNNING


def test_preflight_refuses_before_anything_is_made(ctx: Context, request_up: UpRequest, engine: FakeRuntime) -> None:
    engine.problems.append(Problem(what="1 GiB free of the 9 GiB needed", hint="free some space"))
    with pytest.raises(PreflightError, match="1 GiB free"):
        up(ctx, request_up, quiet)
    assert ctx.store.sessions() == []
    assert not (ctx.settings.workspaces / "small-lab").exists()


def test_an_interrupted_up_is_told_and_finished(ctx: Context, request_up: UpRequest) -> None:
    session = up(ctx, request_up, quiet).session
    ctx.store.set_state(session, SessionState.STARTING)
    assert view(ctx, find(ctx, "small-lab")).note == "`labctl up` was interrupted; `labctl up small-lab` finishes it"
    assert up(ctx, request_up, quiet).session.state is SessionState.RUNNING


def test_a_session_expires_is_ended_by_gc_and_keeps_its_workspace(
    ctx: Context, request_up: UpRequest, clock: Clock, engine: FakeRuntime
) -> None:
    session = up(ctx, replace(request_up, ttl_s=3600.0), quiet).session
    assert gc(ctx, quiet) == []
    clock.advance(hours=400)  # a laptop that slept, or a clock that jumped
    assert "expired" in view(ctx, session).note
    assert [each.session for each in gc(ctx, quiet, dry_run=True)] == ["small-lab--ada"]
    assert engine.running
    assert [each.problem for each in gc(ctx, quiet)] == [""]
    assert engine.running == {}
    assert Path(session.workspace, "readme.txt").is_file()


def test_up_gives_an_expired_session_new_time(ctx: Context, request_up: UpRequest, clock: Clock) -> None:
    up(ctx, replace(request_up, ttl_s=3600.0), quiet)
    clock.advance(hours=2)
    session = up(ctx, request_up, quiet).session
    assert not session.expired(clock())


def test_a_clock_that_jumps_back_expires_nothing(ctx: Context, request_up: UpRequest, clock: Clock) -> None:
    up(ctx, request_up, quiet)
    clock.advance(days=-400)
    assert gc(ctx, quiet) == []


def test_extend_counts_from_the_end_or_from_now(ctx: Context, request_up: UpRequest, clock: Clock) -> None:
    session = up(ctx, replace(request_up, ttl_s=3600.0), quiet).session
    assert (extend(ctx, session, 3600.0).expires_at, session.expires_at) != (None, None)
    clock.advance(hours=10)
    late = extend(ctx, find(ctx, "small-lab"), 60.0)
    assert late.expires_at is not None
    assert (late.expires_at - clock()).total_seconds() == 60


def test_the_engine_is_told_of_a_later_end_and_before_the_store(
    ctx: Context, request_up: UpRequest, engine: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = up(ctx, replace(request_up, ttl_s=3600.0), quiet).session
    later = extend(ctx, session, 3600.0)
    assert later.expires_at is not None
    assert engine.expiries[session.id] == iso(later.expires_at)
    monkeypatch.setattr(engine, "gone", True)
    with pytest.raises(EngineError):
        extend(ctx, session, 3600.0)
    assert find(ctx, session.id).expires_at == later.expires_at


def test_gc_removes_what_no_session_owns(ctx: Context, request_up: UpRequest, engine: FakeRuntime) -> None:
    up(ctx, request_up, quiet)
    engine.running["lost--bob"] = {}
    assert [each.session for each in gc(ctx, quiet)] == ["lost--bob"]
    assert list(engine.running) == ["small-lab--ada"]


def test_down_twice_succeeds_and_purge_deletes_only_what_labctl_made(ctx: Context, request_up: UpRequest) -> None:
    session = up(ctx, request_up, quiet).session
    down(ctx, session, quiet)
    assert down(ctx, session, quiet).state is SessionState.STOPPED
    (Path(session.workspace) / ".labctl").unlink()
    with pytest.raises(UsageError, match="was not made by labctl"):
        down(ctx, session, quiet, purge=True)
    assert Path(session.workspace, "readme.txt").is_file()


def test_purge_deletes_the_workspace(ctx: Context, request_up: UpRequest) -> None:
    session = up(ctx, request_up, quiet).session
    down(ctx, session, quiet, purge=True)
    assert not Path(session.workspace).exists()


def test_verify_runs_the_criteria_in_order_and_keeps_the_report(
    ctx: Context, request_up: UpRequest, engine: FakeRuntime
) -> None:
    session = up(ctx, request_up, quiet).session
    engine.answers["page", "GET", "/"] = answer(text="hello")
    report = verify(ctx, session)
    assert [each.outcome for each in report.criteria] == [Outcome.FAIL, Outcome.SKIP]
    Path(session.workspace, "answer.txt").write_text("yes")
    report = verify(ctx, session)
    assert (report.outcome, report.score, report.max_score) == (Outcome.PASS, 10, 10)
    assert [each["score"] for each in ctx.store.reports(session.id)] == [10, 0]
    assert ctx.store.progress("ada")["small-lab"].passed


def test_verify_of_an_unknown_criterion_names_those_there_are(ctx: Context, request_up: UpRequest) -> None:
    session = up(ctx, request_up, quiet).session
    with pytest.raises(NotFoundError) as caught:
        verify(ctx, session, only=["wrong"])
    assert caught.value.hint == "it has: written, served"


def test_reset_keeps_a_dated_copy_and_puts_the_starter_back(ctx: Context, request_up: UpRequest) -> None:
    session = up(ctx, request_up, quiet).session
    place = Path(session.workspace)
    (place / "readme.txt").write_text("mine")
    (place / "deep").mkdir()
    (place / "deep" / "work.txt").write_text("a day's work")
    copy = Path(reset(ctx, session, []).copy)
    assert copy.name == "small-lab.2026-01-02-030405"
    assert (copy / "deep" / "work.txt").read_text() == "a day's work"
    assert (place / "readme.txt").read_text() == "start here\n"
    assert not (place / "deep").exists()
    assert reset(ctx, session, []).copy != str(copy)


def test_reset_of_one_file_leaves_the_others(ctx: Context, request_up: UpRequest) -> None:
    session = up(ctx, request_up, quiet).session
    place = Path(session.workspace)
    (place / "readme.txt").write_text("mine")
    (place / "work.txt").write_text("mine too")
    assert reset(ctx, session, ["readme.txt"]).restored == ("readme.txt",)
    assert (place / "work.txt").read_text() == "mine too"
    with pytest.raises(NotFoundError, match=r"no file 'work\.txt'"):
        reset(ctx, session, ["work.txt"])
    with pytest.raises(UsageError, match="leads out of the workspace"):
        reset(ctx, session, ["../../etc/passwd"])


def test_reset_does_not_write_through_a_link(ctx: Context, request_up: UpRequest, home: Path) -> None:
    session = up(ctx, request_up, quiet).session
    precious = home / "precious.txt"
    precious.write_text("precious")
    link = Path(session.workspace) / "readme.txt"
    link.unlink()
    link.symlink_to(precious)
    reset(ctx, session, ["readme.txt"])
    assert precious.read_text() == "precious"
    assert not link.is_symlink()


def test_a_folder_with_files_keeps_them(ctx: Context, request_up: UpRequest, home: Path) -> None:
    (home / "mine").mkdir()
    (home / "mine" / "readme.txt").write_text("mine")
    up(ctx, replace(request_up, workspace=home / "mine"), quiet)
    assert (home / "mine" / "readme.txt").read_text() == "mine"


def test_the_current_folder_says_which_session(
    ctx: Context, request_up: UpRequest, write_lab: WriteLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotFoundError, match="no session is running"):
        find(ctx, None)
    first = up(ctx, request_up, quiet).session
    assert find(ctx, None) == first
    write_lab("other-lab")
    second = up(ctx, UpRequest(lab="other-lab", learner="ada"), quiet).session
    with pytest.raises(UsageError, match="2 sessions match"):
        find(ctx, None)
    monkeypatch.chdir(second.workspace)
    assert find(ctx, None) == second


def test_two_learners_have_a_session_each(ctx: Context, request_up: UpRequest) -> None:
    up(ctx, request_up, quiet)
    bob = up(ctx, replace(request_up, learner="bob"), quiet).session
    assert bob.workspace.endswith("small-lab@bob")
    assert find(ctx, "small-lab").learner == "ada"
    assert find(ctx, "small-lab", "bob") == bob


def test_a_learners_file_in_the_way_of_the_starter_stays(ctx: Context, write_lab: WriteLab, home: Path) -> None:
    write_lab(**{"workspace/src/app.py": "starter"})
    (home / "mine").mkdir()
    (home / "mine" / "src").write_text("MY WORK")
    with pytest.raises(PreflightError, match="is in the way"):
        up(ctx, UpRequest(lab="small-lab", learner="ada", workspace=home / "mine"), quiet)
    assert (home / "mine" / "src").read_text() == "MY WORK"
    (home / "linked").mkdir()
    (home / "linked" / "src").symlink_to("../elsewhere")
    with pytest.raises(PreflightError, match="is in the way"):
        up(ctx, UpRequest(lab="small-lab", learner="ada", workspace=home / "linked"), quiet)
    assert (home / "linked" / "src").is_symlink()


def test_places_that_hold_more_than_the_learners_work_are_refused(
    ctx: Context, request_up: UpRequest, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(home / "user"))
    (home / "user" / "deep").mkdir(parents=True)
    other = up(ctx, replace(request_up, learner="bob"), quiet).session
    places = [
        Path("/"),
        home / "user",
        home,
        ctx.settings.home,
        ctx.settings.home / "sessions",
        home / "labs" / "small-lab",
        home / "labs" / "small-lab" / "inner",
        Path(other.workspace),
        Path(other.workspace) / "inner",
        Path(other.workspace).parent,
    ]
    for place in places:
        with pytest.raises(PreflightError, match="cannot be a workspace"):
            up(ctx, replace(request_up, workspace=place), quiet)
    assert up(ctx, replace(request_up, workspace=home / "user" / "deep"), quiet).session.state is SessionState.RUNNING


def test_the_workspace_of_an_ended_session_of_somebody_else_is_refused(ctx: Context, request_up: UpRequest) -> None:
    other = up(ctx, replace(request_up, learner="bob"), quiet).session
    down(ctx, other, quiet)
    with pytest.raises(PreflightError, match="is the workspace of small-lab--bob"):
        up(ctx, replace(request_up, workspace=Path(other.workspace)), quiet)


def test_purge_leaves_a_folder_that_was_there_before(ctx: Context, request_up: UpRequest, home: Path) -> None:
    (home / "thesis").mkdir()
    (home / "thesis" / "thesis.tex").write_text("years")
    session = up(ctx, replace(request_up, workspace=home / "thesis"), quiet).session
    with pytest.raises(UsageError, match="was not made by labctl"):
        down(ctx, session, quiet, purge=True)
    assert find(ctx, "small-lab").state is SessionState.RUNNING
    assert (home / "thesis" / "thesis.tex").read_text() == "years"


def test_read_only_folders_are_reset_and_purged(ctx: Context, request_up: UpRequest) -> None:
    session = up(ctx, request_up, quiet).session
    cache = Path(session.workspace) / "cache"
    cache.mkdir()
    (cache / "file").write_text("x")
    cache.chmod(0o555)
    copy = Path(reset(ctx, session, []).copy)
    assert not cache.exists()
    (copy / "cache").chmod(0o755)
    cache.mkdir()
    (cache / "file").write_text("x")
    cache.chmod(0o555)
    down(ctx, session, quiet, purge=True)
    assert not Path(session.workspace).exists()


def test_a_workspace_that_is_gone_is_told_and_made_anew(ctx: Context, request_up: UpRequest) -> None:
    session = up(ctx, request_up, quiet).session
    shutil.rmtree(session.workspace)
    with pytest.raises(NotFoundError, match="is gone"):
        reset(ctx, session, [])
    assert list(Path(session.workspace).parent.iterdir()) == []
    assert up(ctx, request_up, quiet).changed == ("workspace", "page")


def test_extend_of_an_ended_session_does_not_revive_it(ctx: Context, request_up: UpRequest) -> None:
    session = up(ctx, request_up, quiet).session
    down(ctx, session, quiet)
    with pytest.raises(NotFoundError, match="has ended"):
        extend(ctx, session, 3600.0)
    assert ctx.store.sessions(live=True) == []


def test_gc_leaves_a_session_that_was_extended_while_it_ended_another(
    ctx: Context, request_up: UpRequest, clock: Clock, engine: FakeRuntime
) -> None:
    first = up(ctx, replace(request_up, ttl_s=3600.0), quiet).session
    second = up(ctx, replace(request_up, learner="bob", ttl_s=3600.0), quiet).session
    clock.advance(hours=2)

    def meanwhile(_step: object) -> None:
        if first.id not in engine.running and find(ctx, second.id).expired(clock()):
            extend(ctx, second, 7200.0)

    gc(ctx, meanwhile)
    assert [each.id for each in ctx.store.sessions(live=True)] == [second.id]
    assert list(engine.running) == [second.id]


def test_gc_leaves_an_orphan_that_became_a_session_meanwhile(
    ctx: Context, request_up: UpRequest, engine: FakeRuntime
) -> None:
    engine.running["a-lost--bob"] = {}
    engine.running["small-lab--ada"] = {}

    def meanwhile(_step: object) -> None:
        if "a-lost--bob" not in engine.running and not ctx.store.sessions(live=True):
            up(ctx, request_up, quiet)

    gc(ctx, meanwhile)
    assert list(engine.running) == ["small-lab--ada"]


def test_the_folder_of_an_ended_session_says_so(
    ctx: Context, request_up: UpRequest, write_lab: WriteLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = up(ctx, request_up, quiet).session
    write_lab("other-lab")
    up(ctx, UpRequest(lab="other-lab", learner="ada"), quiet)
    down(ctx, session, quiet)
    monkeypatch.chdir(session.workspace)
    with pytest.raises(NotFoundError, match="small-lab--ada, whose workspace this is, is not running"):
        find(ctx, None)
