"""The lab was edited: `up` replaces what changed, and nothing else."""

from __future__ import annotations

import shutil

import pytest

from labctl.errors import UnhealthyError
from labctl.runtimes.base import State
from tests.conformance.engines import on_real_engines
from tests.conformance.homes import Home, until
from tests.conformance.labs import server, worker


def test_a_changed_service_is_replaced_and_the_others_and_the_workspace_stay(host: Home) -> None:
    host.write({"web": server(), "api": server()})
    host.up()
    (host.workspace() / "readme.txt").write_text("mine now")
    web, api = host.identity("web"), host.identity("api")
    host.write({"web": server(), "api": server("--note", "api")})
    assert [line for line in host.changes() if "web" in line] == []
    assert len(host.changes()) == 1
    assert host.up().changed == ("api",)
    assert host.identity("web") == web
    assert host.identity("api") != api
    assert (host.workspace() / "readme.txt").read_text() == "mine now"
    assert host.up().changed == ()


def test_a_changed_environment_reaches_the_service(host: Home) -> None:
    host.write({"web": server(environment={"COLOUR": "red"})})
    host.up()
    host.write({"web": server(environment={"COLOUR": "blue"})})
    assert host.up().changed == ("web",)
    assert host.ask("web")["environment"]["COLOUR"] == "blue"


def test_a_removed_service_ends_and_an_added_one_starts(host: Home) -> None:
    host.write({"web": server(), "old": server()})
    host.up()
    web = host.identity("web")
    host.write({"web": server(), "new": server()})
    changed = host.up().changed
    assert {"old", "new"} <= set(changed)
    assert "web" not in changed
    assert [service.name for service in host.status().services] == ["web", "new"]
    assert host.identity("old") == ""
    assert host.identity("web") == web
    assert host.ask("new")["environment"]["LEARNER"] == "ada"


@on_real_engines
def test_what_a_failed_up_has_added_is_shown_with_what_is_wrong_with_it(host: Home) -> None:
    host.write({"web": server(restart="on-failure")})
    host.up()
    host.write({"web": server(restart="on-failure"), "broken": worker("say:no such model", "exit:3")})
    with pytest.raises(UnhealthyError, match="service broken"):
        host.up()
    assert host.service("web").state is State.RUNNING
    until(lambda: "no such model" in host.service("broken").reason)  # it may just be tried again
    assert "no such model" in "\n".join(host.logs("broken"))
    host.write({"web": server(restart="on-failure")})
    host.up()
    assert [service.name for service in host.status().services] == ["web"]


def test_ports_and_urls_stay_when_a_service_is_replaced(host: Home) -> None:
    host.write({"web": server()})
    url = host.up().services[0].url
    host.write({"web": server("--note", "web")})
    assert host.up().services[0].url == url


def test_a_workspace_that_was_deleted_is_made_anew(host: Home) -> None:
    host.write({"web": server()})
    host.up()
    shutil.rmtree(host.workspace())
    assert "workspace" in host.up().changed
    assert host.target().run(["cat", "readme.txt"], timeout_s=30).stdout == "start here\n"
    assert host.service("web").state is State.RUNNING


@on_real_engines
def test_services_see_a_workspace_that_was_made_anew(host: Home) -> None:
    host.write({"web": server()})
    host.up()
    shutil.rmtree(host.workspace())
    host.up()
    assert host.send("web", "GET", "/file/readme.txt") == b"start here\n"
