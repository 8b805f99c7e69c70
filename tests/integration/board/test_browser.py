"""The board in a real browser: an instructor's hour and a learner's, by mouse and by keyboard, large and small."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from labctl import settings
from labctl.store.store import Store
from tests.integration.board.browser import WAIT_MS, axe, chromium, serious, visit
from tests.integration.board.portal import PEOPLE, STEPS, Portal

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("board")]
DONE = (3, 8, 1, 5, 0, 6, 4, 2, 8, 0, 3, 5)
"""How many steps of the lab each learner has done when the tests begin."""
PICTURES = os.environ.get("LABCTL_BOARD_PICTURES")
"""A folder for pictures of the pages, as docs/images has them; none are taken without it."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def taught(served: Portal) -> Portal:
    """The class in the middle of its lab."""
    for number, steps in enumerate(DONE, start=1):
        served.solve(f"s{number}", *STEPS[:steps])
    served.labctl("cohort", "verify", str(served.folder / "autumn"), "--json", code=None)
    store = Store(settings.load(served.env))
    for learner, minutes in (("s5", 52), ("s10", 47)):  # who have been at it for a while, and have nothing to show
        session = store.session(f"small-lab--autumn--{learner}")
        assert session is not None
        store.put(replace(session, created_at=session.created_at - timedelta(minutes=minutes)))
    late = store.session("small-lab--autumn--s6")
    assert late is not None
    store.put(replace(late, expires_at=datetime.now(UTC) + timedelta(minutes=20)))
    return served


def picture(page: Page, name: str) -> None:
    if PICTURES:
        page.mouse.move(0, 0)
        page.screenshot(path=Path(PICTURES) / f"board-{name}.png")


def test_the_instructor_watches_helps_and_ends(browser: Browser, taught: Portal) -> None:
    with visit(browser, taught, "teacher") as page:
        rows = page.locator(".matrix tbody tr")
        expect(rows).to_have_count(len(PEOPLE))
        expect(page.locator("#r-s2 .number")).to_have_text("75/75")
        expect(page.locator("#r-s9 th")).to_contain_text("<b>Bobby</b> Tables")
        expect(page.locator("#summary")).to_contain_text("Most fail measured measured.txt says yes · 10 learners")
        expect(page.locator("#summary")).to_contain_text("Most are at tokens tokens.txt says yes · 2 learners")
        expect(page.locator("#r-s5 .tag")).to_contain_text("stuck")
        expect(page.locator("#summary")).to_contain_text("Grace Hopper, Noor Haddad")
        picture(page, "class")

        # somebody comes further while the instructor looks
        taught.solve("s5", *STEPS[:4])
        taught.labctl("verify", "small-lab--autumn--s5", "--json", code=None)
        expect(page.locator("#r-s5 .number")).to_have_text("35/75", timeout=WAIT_MS)
        expect(page.locator("#r-s5 td.m.pass")).to_have_count(4)

        page.fill("#find", "noor")
        expect(rows.filter(visible=True)).to_have_count(1)
        page.fill("#find", "")
        page.get_by_label("only who needs help").check()
        expect(rows.filter(visible=True)).to_have_count(1)
        page.get_by_label("only who needs help").uncheck()

        page.click("#r-s3 .acts a")
        dialog = page.locator("dialog")
        expect(dialog).to_contain_text("韩梅梅")
        picture(page, "actions")
        dialog.get_by_label("Message to").fill("Look at <b>batches</b> again.\nI am on my way.")
        dialog.get_by_role("button", name="Send").click()
        expect(dialog.locator(".good")).to_be_visible()
        dialog.get_by_label("More time").select_option("2h")
        dialog.get_by_role("button", name="Extend").click()
        expect(dialog.locator(".good")).to_contain_text("until")
        dialog.get_by_role("button", name="Verify now").click()
        expect(dialog.locator(".good")).to_contain_text("5 of 75 points", timeout=WAIT_MS)
        dialog.get_by_role("link", name="End …").click()
        expect(dialog).to_contain_text("The files stay.")
        dialog.get_by_role("button", name="End", exact=True).click()
        page.keyboard.press("Escape")
        expect(dialog).not_to_be_visible()
        expect(page.locator("#r-s3 .dot")).to_have_text("stopped", timeout=WAIT_MS)

        page.get_by_role("link", name="Log", exact=True).click()
        for action in ("message", "extend", "verify", "end"):
            expect(page.locator("table.log tbody tr", has_text=action).first).to_contain_text("teacher")
        picture(page, "log")


def test_the_learner_verifies_reads_hints_and_messages(browser: Browser, taught: Portal) -> None:
    with visit(browser, taught, "s1") as page:
        expect(page.locator("h1")).to_have_text("Ada Lovelace")
        expect(page.locator(".labs .card")).to_contain_text("Next: adapter.txt says yes")
        picture(page, "learner")
        page.get_by_role("link", name="Instructions and results").click()
        page.wait_for_selector("#live.on")
        expect(page.locator("article.text")).to_contain_text("<script>")
        expect(page.locator(".left time")).to_have_text(re.compile(r"\d+:\d\d h"))
        expect(page.locator(".criteria .fail").first).to_contain_text("Write yes into adapter.txt.")
        picture(page, "lab")

        taught.solve("s1", "adapter")
        page.get_by_role("button", name="Verify").click()
        expect(page.locator(".points").first).to_contain_text("35 of 75 points", timeout=WAIT_MS)
        expect(page.locator(".criteria .pass")).to_have_count(4)

        # the instructor writes while the learner looks
        with visit(browser, taught, "teacher", "learners/s1/small-lab/actions", ready="textarea") as other:
            other.get_by_label("Message to").fill("<img src=x onerror=alert(1)> Well done!")
            with other.expect_response(lambda answer: answer.url.endswith("/message")) as sent:
                other.get_by_role("button", name="Send").click()  # a page that is closed before takes it back
            assert sent.value.ok or sent.value.status == 303
        expect(page.locator(".letter")).to_contain_text("<img src=x onerror=alert(1)> Well done!", timeout=WAIT_MS)
        page.get_by_role("button", name="Put away").click()
        expect(page.locator(".letter")).to_have_count(0)


def test_everything_is_done_by_keyboard(browser: Browser, taught: Portal) -> None:
    with visit(browser, taught, "teacher") as page:
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_text("Skip to the content")
        page.keyboard.press("Enter")
        page.locator("#r-s7 .acts a").focus()
        page.keyboard.press("Enter")
        expect(page.locator("dialog")).to_contain_text("김 민준")
        assert page.evaluate("document.querySelector('dialog').contains(document.activeElement)")
        page.keyboard.press("Escape")
        expect(page.locator("#r-s7 .acts a")).to_be_focused()
        taught.solve("s7", *STEPS)
        taught.labctl("verify", "small-lab--autumn--s7")
        expect(page.locator("#r-s7 .number")).to_have_text("75/75", timeout=WAIT_MS)
        expect(page.locator("#r-s7 .acts a")).to_be_focused()


def test_the_page_says_before_a_session_ends(browser: Browser, taught: Portal) -> None:
    with visit(browser, taught, "s6", "learners/s6/small-lab") as page:
        expect(page.locator(".ends")).to_contain_text("This session ends soon.")
        expect(page.locator(".left time")).to_have_text(re.compile(r"1\d:\d\d min"))
        page.goto(f"{taught.board}learners/s6")
        expect(page.locator(".ends")).to_be_visible()
    with visit(browser, taught, "s4") as page:
        expect(page.locator(".left time")).to_have_text(re.compile(r"7:\d\d h"))
        expect(page.locator(".ends")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Browser, taught: Portal, scheme: str) -> None:
    source = axe()
    with visit(browser, taught, "teacher", color_scheme=scheme) as page:
        assert serious(page, source) == []
        page.click("#r-s6 .acts a")
        expect(page.locator("dialog")).to_be_visible()
        assert serious(page, source) == []
        for path in ("log", "learners/s4", "learners/s4/small-lab"):
            page.goto(taught.board + path)
            assert serious(page, source) == [], path


@pytest.mark.parametrize(
    ("who", "path", "name"), [("teacher", "class", "phone"), ("s4", "learners/s4/small-lab", "lab-phone")]
)
def test_a_small_screen_shows_everything_in_chinese(
    browser: Browser, taught: Portal, who: str, path: str, name: str
) -> None:
    small: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "locale": "zh-CN", "color_scheme": "dark"}
    with visit(browser, taught, who, path, **small) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert page.evaluate("document.documentElement.lang") == "zh-Hans"
        expect(page.locator("main")).to_contain_text("运行中")
        picture(page, name)
        page.get_by_role("link", name="English").click()
        expect(page.locator("main")).to_contain_text("running")
        assert page.url == taught.board + path


def test_without_a_stream_the_page_asks_now_and_then(browser: Browser, taught: Portal) -> None:
    with visit(browser, taught, "teacher") as page:
        page.route("**/events?**", lambda route: route.abort())
        page.reload()
        page.wait_for_selector("#live.poll", timeout=60_000)
        taught.solve("s8", *STEPS[:5])
        taught.labctl("verify", "small-lab--autumn--s8", "--json", code=None)
        expect(page.locator("#r-s8 .number")).to_have_text("45/75", timeout=WAIT_MS)


def test_without_javascript_everything_is_done_by_forms(browser: Browser, taught: Portal) -> None:
    ready = ".matrix tbody tr"
    with visit(browser, taught, "teacher", ready=ready, java_script_enabled=False) as page:
        page.click("#r-s11 .acts a")
        page.get_by_role("link", name="Restart …").click()
        page.get_by_role("button", name="Restart", exact=True).click()
        expect(page.locator("h1")).to_have_text("Fine-tune a small model")
        page.get_by_role("link", name="Log", exact=True).click()
        expect(page.locator("table.log tbody tr").first).to_contain_text("restart")
    with visit(browser, taught, "s11", "learners/s11/small-lab", ready=".criteria", java_script_enabled=False) as page:
        taught.solve("s11", *STEPS[:6])
        page.get_by_role("button", name="Verify").click()
        page.wait_for_url("**/learners/s11/small-lab")
        page.reload()
        expect(page.locator(".points").first).to_contain_text("60 of 75 points")
