"""What the board asks the Hub about tokens: seldom, never twice at once, and again before anything is long believed."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from labctl.errors import EngineError
from labctl.hub.board.hub_login import BELIEVED_S, KNOWN_S, LEARNER_S, MANY, HubLogin, HubPlace
from labctl.hub.board.room import Room
from labctl.hub.board.viewer import Viewer

ACCESS = "access:services!service=board"
PLACE = HubPlace(
    api_url="http://hub/api",
    api_token="own",
    client_id="service-board",
    callback_path="/services/board/oauth_callback",
    browser_url="/hub/",
    access_scopes=frozenset({ACCESS}),
)


class Hub:
    """Answers as JupyterHub does to a service, and counts."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.users: dict[str, dict[str, Any]] = {}
        self.now = 1000.0
        self.is_up = True

    def answer(self, request: httpx.Request) -> httpx.Response:
        if not self.is_up:
            raise httpx.ConnectError("refused")
        path, token = request.url.path.removeprefix("/api"), request.headers["authorization"].partition(" ")[2]
        self.asked.append(path)
        name = token if path == "/user" else path.rpartition("/")[2]
        if name not in self.users:
            return httpx.Response(404 if token == "own" else 403, json={})
        user = self.users[name]
        told = ("kind", "name", "groups", "scopes") if path == "/user" else ("name", "admin", "groups")
        return httpx.Response(200, json={key: user[key] for key in told if key in user})

    def knows(self, name: str, **more: Any) -> None:
        self.users[name] = {"kind": "user", "name": name, "groups": [], "scopes": [ACCESS], "admin": False, **more}


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
def login(hub: Hub, room: Room) -> HubLogin:
    http = httpx.AsyncClient(transport=httpx.MockTransport(hub.answer))
    return HubLogin(PLACE, room, b"secret", lambda: hub.now, http)


def told(login: HubLogin, *tokens: str) -> list[Viewer | None]:
    """Who the tokens are of, asked one after the other; what is asked in the background is waited for."""

    async def ask() -> list[Viewer | None]:
        found = [await login.of_token(token) for token in tokens]
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        await asyncio.gather(*others, return_exceptions=True)
        return found

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("user", "viewer"),
    [
        ({}, Viewer(name="ada", learner_id="ada")),
        ({"admin": True}, Viewer(name="ada", learner_id="ada", instructor=True)),
        ({"groups": ["instructor"]}, Viewer(name="ada", learner_id="ada", instructor=True)),
        ({"groups": ["others"]}, Viewer(name="ada", learner_id="ada")),
        ({"scopes": ["read:users:name"]}, None),
        ({"scopes": ["access:services!service=other"], "admin": True}, None),
    ],
)
def test_the_hub_says_who_somebody_is(hub: Hub, login: HubLogin, user: dict[str, Any], viewer: Viewer | None) -> None:
    hub.knows("ada", **user)
    assert told(login, "ada", "unknown") == [viewer, None]


def test_who_is_busy_does_not_wait_and_is_asked_about_again_all_the_same(hub: Hub, login: HubLogin) -> None:
    hub.knows("ada")
    assert told(login, "ada", "ada", "ada")[2] == Viewer(name="ada", learner_id="ada")
    assert hub.asked == ["/user", "/users/ada"]
    hub.now += KNOWN_S
    del hub.users["ada"]
    assert told(login, "ada") != [None]
    assert hub.asked == ["/user", "/users/ada", "/user"]
    assert told(login, "ada") == [None]


def test_who_comes_back_after_a_while_is_asked_about_first(hub: Hub, login: HubLogin) -> None:
    hub.knows("ada")
    told(login, "ada")
    del hub.users["ada"]
    hub.now += BELIEVED_S
    assert told(login, "ada") == [None]


def test_an_instructor_who_is_none_any_more_is_seen_at_once_and_a_new_one_soon(hub: Hub, login: HubLogin) -> None:
    hub.knows("eve", admin=True)
    hub.knows("ada")
    told(login, "eve", "ada")
    hub.knows("eve")
    hub.knows("ada", admin=True)
    hub.now += BELIEVED_S
    assert [each and each.instructor for each in told(login, "eve", "ada")] == [False, False]
    hub.now += LEARNER_S
    assert [each and each.instructor for each in told(login, "eve", "ada")] == [False, True]


def test_many_who_come_at_once_with_one_token_ask_once(hub: Hub, login: HubLogin) -> None:
    hub.knows("ada")

    async def ask() -> list[Viewer | None]:
        return await asyncio.gather(*(login.of_token("ada") for _ in range(20)))

    assert set(asyncio.run(ask())) == {Viewer(name="ada", learner_id="ada")}
    assert hub.asked == ["/user", "/users/ada"]


def test_a_hub_that_does_not_answer_is_said_and_asked_again(hub: Hub, login: HubLogin) -> None:
    hub.knows("ada")
    hub.is_up = False
    with pytest.raises(EngineError, match="the Hub does not answer"):
        told(login, "ada")
    hub.is_up = True
    assert told(login, "ada") != [None]


def test_trying_token_after_token_fills_no_memory(hub: Hub, login: HubLogin) -> None:
    hub.knows("ada")
    told(login, "ada", *(f"guess-{number}" for number in range(MANY + 10)))
    assert len(login._known) <= MANY + 2
    hub.asked.clear()
    assert told(login, "ada") != [None]
    assert hub.asked == []


def test_instructors_of_the_cohort_file_are_instructors(hub: Hub, room: Room, login: HubLogin) -> None:
    room.cohort.instructors.append("Eve@Example.org")
    hub.knows("eve@example.org")
    assert told(login, "eve@example.org") == [Viewer(name="eve@example.org", instructor=True)]
