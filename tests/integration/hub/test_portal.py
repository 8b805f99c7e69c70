"""The portal as a learner meets it: real JupyterHub, real proxy, JupyterLab on the local runtime."""

from __future__ import annotations

import html
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from tests.integration.hub.portal import Portal, Visitor, require_proxy, until

pytestmark = pytest.mark.xdist_group("portal")
ADA = "small-lab--autumn--1001"


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    require_proxy()
    portal = Portal(tmp_path_factory.mktemp("portal"))
    portal.serve()
    yield portal
    portal.labctl("down", "--all")
    portal.end()


def test_nobody_comes_in_without_a_link(portal: Portal) -> None:
    with portal.visitor() as stranger:
        page = stranger.client.get("/hub/home")
        assert page.url.path == "/hub/login"
        assert "personal link" in page.text
        for path in ("/user/1001/small-lab/lab", "/hub/spawn/1001/small-lab", "/hub/admin", "/hub/token"):
            assert stranger.client.get(path).url.path == "/hub/login", path
        refused = stranger.client.get("/hub/invite", params={"token": "made.up"})
        assert (refused.status_code, "This link is not valid" in refused.text) == (403, True)


def test_opening_a_link_logs_nobody_in_until_they_say_so(portal: Portal) -> None:
    with portal.visitor() as reader:
        page = reader.client.get(portal.invite("1001"))
        assert "Continue" in page.text
        assert "Ada &lt;b&gt;Lovelace" in page.text
        assert (page.headers["Referrer-Policy"], page.headers["Cache-Control"]) == ("no-referrer", "no-store")
        assert reader.client.get("/hub/home").url.path == "/hub/login"


def test_a_learner_starts_a_lab_works_in_its_terminal_and_stops_it(portal: Portal) -> None:
    with portal.visitor(portal.invite("1001")) as ada:
        events = ada.start("1001", "small-lab")
        assert events[-1].get("ready"), events
        said = [event["message"] for event in events]
        assert "service page: started" in said
        assert [event["progress"] for event in events] == sorted(event["progress"] for event in events)

        said_in_terminal = ada.type("1001", "small-lab", "echo $((6*7)) $LABCTL_SESSION $LABCTL_URL_PAGE $PWD", ADA)
        assert "42 small-lab--autumn--1001 http://127.0.0.1:" in said_in_terminal
        place = Path(portal.env["LABCTL_WORKSPACES"]) / "autumn" / "1001" / "small-lab"
        ada.type("1001", "small-lab", "echo yes > answer.txt; labctl verify", "10 of 10")
        assert (place / "answer.txt").read_text() == "yes\n"

        assert ada.stop("1001", "small-lab") in (202, 204)
        until(lambda: portal.session(ADA) is None, "the session has ended")
        assert (place / "answer.txt").read_text() == "yes\n"


def test_a_learner_cannot_reach_anybody_elses_lab(portal: Portal) -> None:
    with portal.visitor(portal.invite("1001")) as ada, portal.visitor(portal.invite("1002")) as li:
        assert ada.start("1001", "small-lab")[-1].get("ready")
        for path in ("/user/1001/small-lab/lab", "/user/1001/small-lab/api/status", "/hub/spawn/1001/small-lab"):
            assert li.client.get(path).status_code in (403, 404), path
        assert li.client.get("/hub/api/users/1001").status_code in (403, 404)
        assert li.client.get("/hub/admin").status_code == 403
        assert li.stop("1001", "small-lab") in (403, 404)
        assert ada.is_in("1001", "small-lab")


def test_an_instructor_may_look_into_a_learners_lab_and_end_it(portal: Portal) -> None:
    with portal.visitor(portal.invite("1001")) as ada, portal.visitor(portal.invite("--instructor", "Grace")) as grace:
        ada.start("1001", "small-lab")
        grace.allow(grace.client.get("/user/1001/small-lab/lab"))  # the Hub asks before one enters somebody else's
        assert grace.is_in("1001", "small-lab")
        assert grace.client.get("/hub/admin").status_code == 200
        assert grace.stop("1001", "small-lab") in (202, 204)
        until(lambda: portal.session(ADA) is None, "the session has ended")
        refused = grace.start("grace", "small-lab")[-1]
        assert "Grace is not on the list of autumn" in (refused.get("message") or refused["text"])


def test_a_hub_that_was_killed_takes_up_where_it_was(portal: Portal) -> None:
    with portal.visitor(portal.invite("1001")) as ada:
        ada.start("1001", "small-lab")
        assert ada.is_in("1001", "small-lab")
        before = portal.session(ADA)
        proxies = [each for each in portal.children() if "configurable-http-proxy" in " ".join(each.cmdline())]
        assert proxies
        portal.kill()
        psutil.wait_procs(proxies, timeout=20)
        assert not any(each.is_running() for each in proxies)

        portal.serve()
        assert ada.is_in("1001", "small-lab")
        assert portal.session(ADA) == before
        assert "42" in ada.type("1001", "small-lab", "echo $((6*7))", "42\r\n")


def test_a_proxy_that_was_killed_comes_back(portal: Portal) -> None:
    with portal.visitor(portal.invite("1001")) as ada:
        ada.start("1001", "small-lab")
        proxy = next(each for each in portal.children() if "configurable-http-proxy" in " ".join(each.cmdline()))
        proxy.send_signal(signal.SIGKILL)

        def works() -> bool:
            try:
                return ada.is_in("1001", "small-lab")
            except httpx.HTTPError:
                return False

        until(works, "JupyterLab answers through a new proxy")


def test_a_session_that_ran_before_is_taken_over_with_what_runs_in_it(portal: Portal) -> None:
    portal.labctl("cohort", "up", str(portal.cohort))
    before = portal.session("small-lab--autumn--1002")
    assert before is not None
    with portal.visitor(portal.invite("1002")) as li:
        events = li.start("1002", "small-lab")
        assert events[-1].get("ready"), events
        assert "service page: unchanged" in [event["message"] for event in events]
    portal.labctl("cohort", "up", str(portal.cohort))  # an instructor's, which leaves JupyterLab where it is
    with portal.visitor(portal.invite("1002")) as li:
        assert li.is_in("1002", "small-lab")


def test_what_the_cohort_does_not_allow_is_said_in_words(portal: Portal) -> None:
    with portal.visitor(portal.invite("1003")) as zoe:
        assert zoe.start("1003", "small-lab")[-1].get("ready")
        assert "You may have one lab open at a time, and small-lab is; stop it first" in said(zoe, "other-lab")
        assert "Autumn has no lab 'no-such-lab'" in said(zoe, "no-such-lab")
        with changed(portal.cohort / "cohort.yaml", "window: {closes: 2026-01-01}\n"):
            assert "Autumn closed on 2026-01-02" in said(zoe, "other-lab")
        assert zoe.is_in("1003", "small-lab")


def said(visitor: Visitor, server: str) -> str:
    """What whoever presses Start is told, where it does not start."""
    last = visitor.start("1003", server)[-1]
    assert not last.get("ready")
    return html.unescape(last.get("message") or last["text"])


@contextmanager
def changed(file: Path, more: str) -> Iterator[None]:
    before = file.read_text(encoding="utf-8")
    file.write_text(before + more, encoding="utf-8")
    yield
    file.write_text(before, encoding="utf-8")


def test_one_cohort_is_served_once(portal: Portal) -> None:
    portal.labctl("hub", "serve", str(portal.cohort), "--port", "1", code=4)
