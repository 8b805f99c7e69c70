"""A learner's first hour at the portal, in a real browser: by mouse and keyboard, light and dark, wide and narrow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.integration.board.browser import WAIT_MS, axe, chromium, serious
from tests.integration.hub.portal import Portal, require_proxy

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("portal")]
PICTURES = os.environ.get("LABCTL_PORTAL_PICTURES")
"""A folder for pictures of the pages, as docs/images has them; none are taken without it."""
START_MS = 120_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    require_proxy()
    portal = Portal(tmp_path_factory.mktemp("portal"), 'title: "Autumn: large language models"\n')
    portal.serve()
    yield portal
    portal.labctl("down", "--all")
    portal.end()


@pytest.fixture
def page(browser: Browser, portal: Portal) -> Iterator[Page]:
    """A learner's browser, in which no page has an error."""
    context = browser.new_context(base_url=portal.url, viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    yield page
    context.close()
    assert wrong == []


def picture(page: Page, name: str) -> None:
    if PICTURES:
        page.mouse.move(0, 0)
        page.screenshot(path=Path(PICTURES) / f"portal-{name}.png")


def log_in(page: Page, portal: Portal, *who: str) -> None:
    page.goto(portal.invite(*who))
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/services/board/**")


def test_from_the_link_to_jupyterlab_with_the_instructions_beside_a_terminal(page: Page, portal: Portal) -> None:
    page.goto(portal.invite("1001"))
    expect(page.get_by_role("main")).to_contain_text("it logs in Ada <b>Lovelace")
    picture(page, "invite")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Continue").press("Enter")
    page.wait_for_url("**/services/board/**")
    page.goto("/hub/home")
    expect(page.get_by_role("listitem").filter(has_text="A small lab")).to_have_count(2)
    picture(page, "labs")

    page.locator("[data-server=small-lab]").get_by_role("link", name="Start").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("A small lab is starting")
    expect(page.locator("#progress-message")).not_to_be_empty()
    picture(page, "starting")
    page.wait_for_url("**/user/1001/small-lab/lab**", timeout=START_MS)

    expect(page.locator(".jp-RenderedMarkdown strong")).to_have_text("yes", timeout=START_MS)
    terminal = page.locator(".jp-Terminal .xterm-screen")
    expect(terminal).to_be_visible(timeout=START_MS)
    terminal.click()
    page.keyboard.type("echo yes > answer.txt && labctl verify\n")
    answer = Path(portal.env["LABCTL_WORKSPACES"]) / "autumn/1001/small-lab/answer.txt"
    expect(page.locator(".jp-DirListing-content")).to_contain_text("answer.txt", timeout=START_MS)
    assert answer.read_text() == "yes\n"
    page.wait_for_timeout(1500) if PICTURES else None
    picture(page, "jupyterlab")

    page.goto("/hub/home")
    page.locator("[data-server=other-lab]").get_by_role("link", name="Start").click()
    expect(page.get_by_role("alert")).to_contain_text("You may have one lab open at a time, and small-lab is")
    picture(page, "refused")
    page.get_by_role("link", name="Back to the labs").click()
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("[data-server=small-lab]").get_by_role("link", name="Start")).to_be_visible(timeout=START_MS)


def test_jupyterlab_says_when_the_session_ends_soon(page: Page, portal: Portal) -> None:
    file = portal.cohort / "cohort.yaml"
    file.write_text(f"{file.read_text(encoding='utf-8')}ttl: 25m\n", encoding="utf-8")
    log_in(page, portal, "1003")
    page.goto("/hub/spawn/1003/small-lab")
    page.wait_for_url("**/user/1003/small-lab/lab**", timeout=START_MS)
    toast = page.locator(".Toastify__toast")
    expect(toast).to_contain_text("small-lab ends in 25 minutes", timeout=START_MS)
    expect(toast).to_contain_text("Your files stay")
    page.goto("/hub/home")
    expect(page.get_by_role("status").first).to_contain_text("small-lab ends in 25 minutes")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_the_pages(page: Page, portal: Portal, scheme: str) -> None:
    source = axe()
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    link = portal.invite("1002")
    found = {}
    for name, path in {"invite": link, "login": "/hub/login", "refused": "/hub/invite?token=no"}.items():
        page.goto(path)
        found[name] = serious(page, source)
    log_in(page, portal, "1002")
    for name, path in {"labs": "/hub/home", "not running": "/hub/spawn-pending/1002/no"}.items():
        page.goto(path)
        found[name] = serious(page, source)
    assert {name: serious for name, serious in found.items() if serious} == {}


def test_the_pages_fit_a_narrow_screen(page: Page, portal: Portal) -> None:
    page.set_viewport_size({"width": 360, "height": 640})
    log_in(page, portal, "1002")
    for path in ("/hub/home", "/hub/spawn/1002/no-such-lab"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
