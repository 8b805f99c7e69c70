"""The board is killed: the Hub starts it again, nobody has to log in anew, and what was asked for is done."""

from __future__ import annotations

import contextlib
import re
import threading

import httpx
import psutil
import pytest

from labctl import settings
from labctl.store.store import Store
from tests.integration.board.portal import START_S, Portal, until

pytestmark = pytest.mark.xdist_group("board")  # one Hub for all of them


def test_a_killed_board_comes_back_and_loses_nothing(served: Portal) -> None:
    store = Store(settings.load(served.env))
    with served.logged_in("s12") as browser:
        page = browser.get(f"{served.board}learners/s12/small-lab")
        csrf = re.search(r'name="csrf" value="(\w+)"', page.text)
        assert csrf
        (board,) = _boards(served)
        ask = threading.Thread(target=_verify, args=(served, browser.cookies, csrf[1]))
        ask.start()
        until(lambda: store.journal.last("autumn", "s12", "verify") is not None, 30)
        board.kill()
        board.wait(START_S)  # the Hub, which asks for it every 30 s or a little more, ends the zombie
        ask.join()

        def answers() -> bool:
            try:
                return browser.get(f"{served.board}learners/s12").status_code == 200
            except httpx.HTTPError:
                return False

        until(answers, START_S)
        assert str(browser.get(served.board).url) == f"{served.board}learners/s12"

    def is_done() -> bool:
        entry = store.journal.last("autumn", "s12", "verify")
        return entry is not None and entry.outcome == "done"

    until(is_done, 60)
    assert len(store.attempts()["small-lab--autumn--s12"]) >= 1
    assert [each.pid for each in _boards(served)] != [board.pid]


def _verify(served: Portal, cookies: httpx.Cookies, csrf: str) -> None:
    """Ask, and hear or not hear of it: who answers is being killed."""
    with contextlib.suppress(httpx.HTTPError):
        httpx.post(f"{served.board}learners/s12/small-lab/verify", data={"csrf": csrf}, cookies=cookies, timeout=60)


def _boards(served: Portal) -> list[psutil.Process]:
    hub = psutil.Process(served.processes[-1].pid)
    return [each for each in hub.children(recursive=True) if "labctl.hub.board" in each.cmdline()]
