"""A class of three with a board over it, on a fake engine; whoever looks is handed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi import APIRouter, Request
from fastapi.testclient import TestClient

from labctl.cohorts import classroom
from labctl.hub.board.actions import Actions
from labctl.hub.board.app import create_app
from labctl.hub.board.base import Board
from labctl.hub.board.room import Room, open_room
from labctl.hub.board.viewer import Viewer
from labctl.hub.board.watch import Watch
from labctl.sessions.context import Context

PREFIX = "/services/board/"
TEACHER = Viewer(name="teacher", instructor=True)
SECRET = b"a secret of the tests"
ROSTER = "Name,ID\nAda Lovelace,ada\n李雷,bob\n<b>Cy</b> & Co,cy\n"


class Named:
    """A login in which the cookie or the token is the name of who comes."""

    def __init__(self, *viewers: Viewer) -> None:
        self.viewers = {viewer.name: viewer for viewer in viewers}

    async def of_page(self, request: Request) -> Viewer | None:
        return self.viewers.get(request.cookies.get("who", ""))

    async def of_token(self, token: str) -> Viewer | None:
        return self.viewers.get(token)

    def start(self, back: str) -> str:
        return f"{PREFIX}login?next={back}"

    def routes(self) -> APIRouter:
        return APIRouter()


@pytest.fixture
def room(ctx: Context, home: Path, write_lab: Callable[..., Path]) -> Room:
    write_lab(
        **{"README.zh.md": "# 说明\n\n## 第一步\n", "README.md": "# Read me\n\n## First\n\n<script>alert(1)</script>\n"}
    )
    write_lab("other-lab")
    folder = home / "autumn"
    folder.mkdir()
    (folder / "cohort.yaml").write_text("labs: [small-lab, other-lab]\nroster: roster.csv\nruntime: local\n")
    (folder / "roster.csv").write_text(ROSTER, encoding="utf-8")
    return open_room(ctx, folder)


@pytest.fixture
def started(room: Room) -> Room:
    """The room with a running session of the first lab for everybody."""
    seats = [seat for seat in room.seats([]) if seat.lab == "small-lab"]
    profiles = {"small-lab": "cpu"}
    done = classroom.start(room.ctx, room.cohort, seats, profiles, lambda _step: None, lambda _done: None)
    assert [each.problem for each in done] == ["", "", ""]
    return room


@pytest.fixture
def board(room: Room) -> Iterator[Board]:
    learners = [Viewer(name=person.id, learner_id=person.id) for person in room.people()]
    login = Named(TEACHER, Viewer(name="stranger"), *learners)
    actions = Actions(room)
    yield Board(
        room=room,
        watch=Watch(room=room),
        actions=actions,
        login=login,
        secret=SECRET,
        prefix=PREFIX,
        hub_prefix="/",
    )
    actions.close()


@pytest.fixture
def client(board: Board) -> Iterator[TestClient]:
    with TestClient(create_app(board), follow_redirects=False) as found:
        yield found
