"""Chromium as a person uses it, and axe-core as the judge of what everybody can use."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.integration.board.portal import Portal

CHROMIUM = os.environ.get("LABCTL_CHROMIUM") or shutil.which("chromium")
LACKS_CHROMIUM = "there is no Chromium; get it with: sudo apt-get install chromium"
LACKS_AXE = "there is no axe-core; get it with: npm install -g axe-core, or set LABCTL_AXE to its axe.min.js"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
)
WAIT_MS = 30_000


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser. Skips the test where there is none."""
    if CHROMIUM is None:
        pytest.skip(LACKS_CHROMIUM)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def visit(
    browser: Browser, portal: Portal, who: str, path: str = "", *, ready: str = "#live.on", **settings: Any
) -> Iterator[Page]:
    """A page of the board after a login as `who`, once `ready` is there. Nothing may complain but of what a test itself
    has kept from being loaded, and nothing may be asked of another place than the portal."""
    context = browser.new_context(**{"locale": "en", "viewport": {"width": 1280, "height": 860}, **settings})
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(portal.board + path)
    page.fill("#username_input", who)
    page.fill("#password_input", "any")
    page.press("#password_input", "Enter")
    page.wait_for_selector(ready)
    yield page
    assert [text for text in said if "net::ERR_FAILED" not in text] == []
    assert [url for url in asked if not url.startswith((portal.url, "data:"))] == []
    context.close()


def axe() -> str:
    """The text of axe-core. Skips the test where it is not there."""
    chosen = os.environ.get("LABCTL_AXE")
    found = Path(chosen) if chosen else _global_axe()
    if found is None or not found.is_file():
        pytest.skip(LACKS_AXE)
    return found.read_text(encoding="utf-8")


def serious(page: Page, source: str) -> list[str]:
    """What axe finds serious or critical on the page: the rule with the first place."""
    page.evaluate(source)
    answer = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{found['id']}: {found['nodes'][0]['html']}"
        for found in answer["violations"]
        if found["impact"] in ("serious", "critical")
    ]


def _global_axe() -> Path | None:
    npm = shutil.which("npm")
    if npm is None:
        return None
    root = subprocess.run([npm, "root", "-g"], capture_output=True, text=True, check=False).stdout.strip()
    return Path(root) / "axe-core" / "axe.min.js"
