"""How sessions start over and end, and that nothing of them stays on the engine but the workspace."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from labctl.sessions.end import extend
from labctl.sessions.reset import reset
from labctl.store.records import SessionState, iso
from tests.conformance.engines import on_engines_that_end_sessions, on_real_engines
from tests.conformance.homes import Home, is_free, until
from tests.conformance.labs import server, worker

TWO = {"web": server(), "api": server()}


def test_reset_puts_the_starter_back_while_services_run(host: Home) -> None:
    host.write(TWO)
    host.up()
    web = host.identity("web")
    place = host.workspace()
    (place / "readme.txt").write_text("mine")
    (place / "work.txt").write_text("a day's work")
    copy = Path(reset(host.ctx, host.session(), []).copy)
    assert (copy / "work.txt").read_text() == "a day's work"
    assert not (place / "work.txt").exists()
    assert host.target().run(["cat", "readme.txt"], timeout_s=30).stdout == "start here\n"
    assert host.identity("web") == web
    if host.engine.real:
        assert host.send("web", "GET", "/file/readme.txt") == b"start here\n"


def test_services_that_are_ended_start_anew_with_an_empty_log_while_the_rest_runs_on(host: Home) -> None:
    host.write({"web": server(), "api": server(), "talks": worker("say:hello", "sleep")})
    host.up()
    web, talks = host.identity("web"), host.identity("talks")
    until(lambda: not host.engine.real or "hello" in host.logs("talks"))
    for _ in range(2):
        host.runtime.end_services(host.session().handle, ["api", "talks"], host.steps.append)
        assert (host.identity("api"), host.identity("talks"), host.identity("web")) == ("", "", web)
    assert host.up().changed == ("api", "talks")
    assert host.identity("web") == web
    assert host.identity("talks") not in ("", talks)
    until(lambda: not host.engine.real or host.logs("talks").count("hello") == 1)


def test_an_expired_session_is_ended_by_gc_and_its_workspace_stays(host: Home) -> None:
    host.write(TWO)
    host.up(ttl_s=3600.0)
    assert host.gc() == []
    host.clock.advance(hours=2)
    assert [each.session for each in host.gc(dry_run=True)] == [host.id()]
    assert host.identity("web")
    assert [(each.session, each.problem) for each in host.gc()] == [(host.id(), "")]
    assert host.session().state is SessionState.STOPPED
    assert host.identity("web") == ""
    assert host.remains() == []
    assert (host.workspace() / "readme.txt").is_file()


@on_engines_that_end_sessions
def test_the_engine_knows_when_a_session_ends_also_after_it_was_extended(host: Home) -> None:
    host.write({"web": server()})
    host.up(ttl_s=3600.0)
    for more_s in (0.0, 3600.0):
        session = extend(host.ctx, host.session(), more_s) if more_s else host.session()
        assert session.expires_at is not None
        assert [each.expires_at for each in host.runtime.remains()] == [iso(session.expires_at)]
    web = host.identity("web")
    assert host.up().changed == ()
    assert host.identity("web") == web


def test_down_ends_everything_and_down_again_succeeds(host: Home) -> None:
    host.write(TWO)
    session = host.up().session
    assert host.remains() == [host.id()]
    assert host.down().state is SessionState.STOPPED
    assert host.remains() == []
    assert (host.identity("web"), host.identity("api")) == ("", "")
    assert (host.workspace() / "readme.txt").is_file()
    host.down()
    host.runtime.down(session.handle, host.steps.append)
    host.runtime.down({"session": "never--was"}, host.steps.append)
    assert host.remains() == []


@on_real_engines
def test_down_ends_what_services_started_themselves(host: Home) -> None:
    host.write({"parent": worker("child:held", "sleep")})
    host.up()
    until(lambda: (host.workspace() / "held.held").exists())
    assert not is_free(host.workspace() / "held")
    host.down()
    assert is_free(host.workspace() / "held")


def test_down_of_a_session_whose_parts_are_partly_gone_succeeds(host: Home) -> None:
    host.write(TWO)
    host.up()
    host.engine.lose_parts(host.settings, host.id())
    host.down()
    assert host.remains() == []
    assert (host.identity("web"), host.identity("api")) == ("", "")


def test_a_session_comes_up_again_after_down(host: Home) -> None:
    host.write(TWO)
    host.up()
    (host.workspace() / "readme.txt").write_text("mine")
    host.down()
    assert {"web", "api"} <= set(host.up().changed)
    assert (host.workspace() / "readme.txt").read_text() == "mine"


def test_gc_removes_what_no_session_owns(host: Home) -> None:
    host.write(TWO)
    host.up()
    host.lose_database()
    assert [each.session for each in host.gc(dry_run=True)] == [host.id()]
    assert host.identity("web")
    assert [(each.session, each.problem) for each in host.gc()] == [(host.id(), "")]
    assert host.remains() == []
    assert host.identity("web") == ""


def test_sessions_of_another_home_are_neither_seen_nor_touched(home_of: Callable[[str], Home]) -> None:
    one, other = home_of("one"), home_of("other")
    for each in (one, other):
        each.write({"web": server()})
        each.up()
    before = other.identity("web")
    assert before
    one.lose_database()
    assert [each.session for each in one.gc()] == [one.id()]
    assert one.identity("web") == ""
    one.runtime.down({"session": one.id()}, one.steps.append)
    assert other.identity("web") == before
    assert other.ask("web")["environment"]["LEARNER"] == "ada"
    assert other.up().changed == ()
