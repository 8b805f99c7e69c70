"""Logging in to the board through a real JupyterHub: who comes in, as whom, and for how long."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.integration.board.portal import Portal, until


def test_a_learner_is_led_from_the_login_to_their_own_labs(served: Portal) -> None:
    with served.logged_in("s1") as browser:
        page = browser.get(served.board)
        assert str(page.url) == f"{served.board}learners/s1"
        assert "Ada Lovelace" in page.text
        assert browser.get(f"{served.board}learners/s2").status_code == 403
        assert browser.get(f"{served.board}class").status_code == 403


@pytest.mark.parametrize("who", ["teacher", "assistant"])
def test_admins_of_the_hub_and_its_group_of_instructors_see_the_class(served: Portal, who: str) -> None:
    with served.logged_in(who) as browser:
        page = browser.get(served.board)
        assert str(page.url) == f"{served.board}class"
        assert "&lt;b&gt;Bobby&lt;/b&gt; Tables" in page.text


def test_who_is_on_no_list_sees_nothing(served: Portal) -> None:
    with httpx.Client(follow_redirects=True, timeout=60) as browser:
        page = browser.get(served.board)
        xsrf = next(cookie.value for cookie in browser.cookies.jar if cookie.name == "_xsrf")
        page = browser.post(page.url, data={"username": "mallory", "password": "x", "_xsrf": xsrf or ""})
        assert page.status_code == 403
        assert "you are not on the list of this class" in page.text


def test_a_changed_or_foreign_state_does_not_log_in(served: Portal) -> None:
    with httpx.Client(timeout=60) as browser:
        answer = browser.get(f"{served.board}oauth_callback?code=stolen&state=guessed")
        assert answer.status_code == 302
        assert "/login" in answer.headers["location"]
        begun = browser.get(f"{served.board}login?next=https://evil.example/")
        state = re.search(r"state=([^&]+)", begun.headers["location"])
        assert state
        refused = browser.get(f"{served.board}oauth_callback?code=stolen&state={state[1]}")
        assert refused.status_code == 403
        assert "labctl-board" not in {cookie.name for cookie in browser.cookies.jar}


def test_the_session_cookie_is_kept_from_scripts_and_other_sites(served: Portal) -> None:
    with served.logged_in("s1") as browser:
        (cookie,) = [each for each in browser.cookies.jar if each.name == "labctl-board"]
        assert cookie.has_nonstandard_attr("HttpOnly")
        assert str(cookie.get_nonstandard_attr("SameSite")).lower() == "lax"
        assert cookie.path == "/services/board/"
        answer = httpx.get(f"{served.board}class", cookies={"labctl-board": f"x{cookie.value}"})
        assert answer.status_code == 302


def test_logging_out_of_the_hub_ends_the_boards_session(served: Portal) -> None:
    with served.logged_in("s3") as browser:
        browser.get(f"{served.board}logout")
        assert "/hub/login" in str(browser.get(served.board).url)


def test_who_logs_out_of_the_hub_elsewhere_is_out_of_the_board_within_a_minute(served: Portal) -> None:
    with served.logged_in("s4") as browser:
        (kept,) = [each.value for each in browser.cookies.jar if each.name == "labctl-board"]
        cookies = {"labctl-board": kept or ""}
        assert httpx.get(f"{served.board}learners/s4", cookies=cookies).status_code == 200
        browser.get(f"{served.url}hub/logout")
        until(lambda: httpx.get(f"{served.board}learners/s4", cookies=cookies).status_code == 302, 90)


def test_behind_a_proxy_that_encrypts_the_cookie_is_for_encrypted_connections_only(served: Portal) -> None:
    plain = httpx.get(f"{served.board}login")
    encrypted = httpx.get(f"{served.board}login", headers={"X-Forwarded-Proto": "https"})
    assert "secure" not in plain.headers["set-cookie"].lower()
    assert "secure" in encrypted.headers["set-cookie"].lower()
