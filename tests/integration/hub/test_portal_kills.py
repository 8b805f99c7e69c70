"""`kill -9` of the Hub or its proxy at any moment, twenty times: nobody's work, login or session is lost, and nothing is left over."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from tests.integration.hub.portal import Portal, Visitor, require_proxy, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800), pytest.mark.xdist_group("portal")]
RUNS, SEED = 20, 20260901
ADA, LI = "small-lab--autumn--1001", "small-lab--autumn--1002"


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[Portal]:
    require_proxy()
    portal = Portal(tmp_path)
    portal.serve()
    yield portal
    portal.end()
    portal.labctl("down", "--all")


def test_twenty_kills_lose_nothing(portal: Portal) -> None:
    chance = random.Random(SEED)  # where it failed once, it fails again
    with portal.visitor(portal.invite("1001")) as ada, portal.visitor(portal.invite("1002")) as li:
        assert ada.start("1001", "small-lab")[-1].get("ready")
        before = processes(portal, ADA)
        assert before
        for run in range(RUNS):
            pressing = press_start(li, "1002")
            time.sleep(chance.uniform(0, 1.5))
            killed = kill(portal, hub=chance.random() < 0.7)
            pressing.join()
            if portal.process is not None and portal.process.poll() is not None:
                portal.serve()
            until(lambda: works(ada, "1001"), f"run {run}, after the {killed}: Ada goes on working, logged in")
            assert processes(portal, ADA) == before, f"run {run}: what ran for Ada runs on"
            until(lambda: li.start("1002", "small-lab")[-1].get("ready") or works(li, "1002"), f"run {run}: Li starts")
            assert li.stop("1002", "small-lab") in (202, 204, 404)
            until(lambda: portal.session(LI) is None, f"run {run}: Li's session has ended")
        assert len(ours(portal, "configurable-http-proxy")) == 1
        assert len(ours(portal, "labctl.hub.caretaker")) == 1
    portal.end()
    assert ours(portal, "configurable-http-proxy", "labctl.hub", "jupyterhub --config") == []
    assert portal.session(ADA) is not None


def press_start(visitor: Visitor, user: str) -> threading.Thread:
    def press() -> None:
        with suppress(httpx.HTTPError):
            visitor.client.get(f"/hub/spawn/{user}/small-lab")

    thread = threading.Thread(target=press)
    thread.start()
    return thread


def kill(portal: Portal, *, hub: bool) -> str:
    if hub:
        portal.kill()
        return "Hub"
    for proxy in ours(portal, "configurable-http-proxy"):
        proxy.send_signal(signal.SIGKILL)
    return "proxy"


def works(visitor: Visitor, user: str) -> bool:
    try:
        return visitor.is_in(user, "small-lab")
    except httpx.HTTPError:
        return False


def processes(portal: Portal, session: str) -> set[int]:
    """Of the services of a session, JupyterLab among them."""
    home = portal.env["LABCTL_HOME"]
    marks = {"LABCTL_SESSION": session, "LABCTL_HOME": home}
    return {
        each.pid for each in every() if marks.items() <= environ(each).items() and environ(each).get("LABCTL_SERVICE")
    }


def ours(portal: Portal, *words: str) -> list[psutil.Process]:
    """This portal's own processes whose command has one of `words` in it."""
    home = portal.env["LABCTL_HOME"]
    return [
        each for each in every() if environ(each).get("LABCTL_HOME") == home and any(w in command(each) for w in words)
    ]


def every() -> list[psutil.Process]:
    return list(psutil.process_iter())


def environ(process: psutil.Process) -> dict[str, str]:
    with suppress(psutil.Error):
        return process.environ()
    return {}


def command(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""
