"""A session comes up, says what runs, and stays as it is."""

from __future__ import annotations

import urllib.request

import pytest

from labctl.errors import UnhealthyError
from labctl.names import secret
from labctl.runtimes.base import State
from labctl.store.records import SessionState
from labctl.target import CannotLook
from tests.conformance.engines import on_real_engines
from tests.conformance.homes import Home, until
from tests.conformance.labs import server, worker

DONE = "service_completed_successfully"


def test_up_starts_every_service_and_each_answers(host: Home) -> None:
    host.write({"web": server(), "api": server()})
    seen = host.up()
    assert seen.session.state is SessionState.RUNNING
    assert seen.changed[0] == "workspace"
    assert {"web", "api"} <= set(seen.changed)
    assert [(service.name, service.state) for service in seen.services] == [
        ("web", State.RUNNING),
        ("api", State.RUNNING),
    ]
    assert {host.ask(name)["environment"]["LEARNER"] for name in ("web", "api")} == {"ada"}
    assert (host.workspace() / "readme.txt").read_text() == "start here\n"


@on_real_engines
def test_the_url_that_up_tells_answers_on_this_host(host: Home) -> None:
    host.write({"web": server()})
    url = host.up().services[0].url
    assert url is not None
    with urllib.request.urlopen(url, timeout=20) as answer:
        assert answer.status == 200


def test_a_second_up_changes_nothing(host: Home) -> None:
    host.write({"web": server(), "api": server()})
    first = host.up()
    before = [host.identity(name) for name in ("web", "api")]
    again = host.up()
    assert again.changed == ()
    assert again.session == first.session
    assert again.services == first.services
    assert host.changes() == []
    assert [host.identity(name) for name in ("web", "api")] == before


def test_a_second_up_that_must_ask_the_engine_changes_nothing_either(host: Home) -> None:
    host.write({"web": server()})
    host.up()
    before = host.identity("web")
    assert host.up(ttl_s=7200.0).changed == ()
    assert host.identity("web") == before


@on_real_engines
def test_a_url_in_the_environment_of_another_service_reaches_it(host: Home) -> None:
    host.write({"front": server(environment={"BACK": "{{ url('back') }}/file/readme.txt"}), "back": server()})
    host.up()
    until(lambda: fetched(host) == b"start here\n")


def fetched(host: Home) -> bytes:
    """What `front` gets from `back`; nothing while a cluster has not told all its nodes yet where `back` is."""
    try:
        return host.send("front", "GET", "/fetch/BACK")
    except CannotLook:
        return b""


@on_real_engines
def test_services_start_in_the_order_of_their_dependencies(host: Home) -> None:
    host.write(
        {
            "last": server("--note", "last", depends_on={"slow": {}, "early": {"condition": "service_started"}}),
            # listens only once `early` has begun: whoever waits for its health before starting `early` waits for ever
            "slow": server("--note", "slow", "--after", "early", depends_on={"job": {"condition": DONE}}),
            "early": worker("note:early begins", "sleep", depends_on={"slow": {"condition": "service_started"}}),
            "job": worker("note:job begins", "touch:made", "note:job ends"),
        }
    )
    host.up()
    order = host.order()
    assert order[:2] == ["job begins", "job ends"]
    assert order.index("slow listens") < order.index("last begins")
    assert order.index("early begins") < order.index("slow listens")
    assert host.service("job").state is State.EXITED
    assert host.up().changed == ()
    assert host.order().count("job begins") == 1


@on_real_engines
def test_a_job_that_fails_is_named_with_its_last_lines_and_what_waits_for_it_does_not_start(host: Home) -> None:
    host.write(
        {
            "job": worker("say:reading the corpus", "say:no such corpus", "exit:3"),
            "after": server("--note", "after", depends_on={"job": {"condition": DONE}}),
            "other": server(),
        }
    )
    with pytest.raises(UnhealthyError) as caught:
        host.up()
    assert "job" in caught.value.what
    assert "no such corpus" in caught.value.what
    assert "exit code 3" in caught.value.what
    assert host.session().state is SessionState.FAILED
    assert host.service("job").state is State.FAILED
    assert host.service("other").state is State.RUNNING
    assert host.order() == []


@on_real_engines
def test_a_service_that_never_becomes_healthy_fails_is_shown_and_goes_down(host: Home) -> None:
    host.write({"web": server(healthcheck={"http": "/never", "timeout": "2s", "interval": "50ms"})})
    with pytest.raises(UnhealthyError, match="web") as caught:
        host.up()
    assert "404" in caught.value.what
    assert "logs" in caught.value.hint
    seen = host.status()
    assert seen.session.state is SessionState.FAILED
    assert "web" in seen.note
    assert seen.services[0].state is State.UNHEALTHY
    assert "404" in seen.services[0].reason
    host.down()
    assert host.remains() == []


@on_real_engines
def test_a_lab_that_was_mended_comes_up_after_a_failure(host: Home) -> None:
    host.write({"web": worker("say:not yet written", "exit:1")})
    with pytest.raises(UnhealthyError, match="not yet written"):
        host.up()
    host.write({"web": server()})
    assert host.up().session.state is SessionState.RUNNING
    assert host.ask("web")["environment"]["LEARNER"] == "ada"


@on_real_engines
def test_health_is_seen_by_http_tcp_and_command(host: Home) -> None:
    quick = {"timeout": "60s", "interval": "50ms"}
    host.write(
        {
            "by-http": server(),
            "by-tcp": server(healthcheck={"tcp": True, **quick}),
            "by-command": worker("touch:ready", "sleep", healthcheck={"command": ["test", "-f", "ready"], **quick}),
        }
    )
    assert {service.state for service in host.up().services} == {State.RUNNING}


@on_real_engines
def test_a_health_command_sees_the_environment_of_its_service(host: Home) -> None:
    check = {"command": ["sh", "-c", 'test "$COLOUR" = red'], "timeout": "30s", "interval": "50ms"}
    host.write({"web": server(environment={"COLOUR": "red"}, healthcheck=check)})
    assert host.up().services[0].state is State.RUNNING


def test_secrets_stay_as_long_as_the_session_and_are_not_shared(host: Home) -> None:
    host.write({"web": server(environment={"PASSWORD": secret("web")})})
    host.up()
    first = dict(host.runtime.secrets(host.session().handle))
    assert list(first) == ["WEB"]
    host.up(ttl_s=7200.0)
    host.up("bob")
    assert dict(host.runtime.secrets(host.session().handle)) == first
    assert set(host.runtime.secrets(host.session("bob").handle).values()).isdisjoint(first.values())
    assert host.exec("sh", "-c", f'test "$PASSWORD" = "{first["WEB"]}"', service="web") == 0
