"""The board's API without a Hub: who has which token is said by the test."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.testclient import TestClient

from labctl.hub.board.actions import Actions
from labctl.hub.board.app import create_app
from labctl.hub.board.base import Board
from labctl.hub.board.room import Room
from labctl.hub.board.viewer import Viewer
from labctl.hub.board.watch import Watch
from tests.unit.board.classes import ADA, BOB, EVE, NOBODY

TOKENS = {"eve": EVE, "ada": ADA, "bob": BOB, "mallory": NOBODY}


class Tokens:
    """A login by tokens that are known beforehand."""

    def __init__(self, tokens: Mapping[str, Viewer] = TOKENS) -> None:
        self._tokens = tokens

    async def of_page(self, request: Request) -> Viewer | None:
        return None

    async def of_token(self, token: str) -> Viewer | None:
        return self._tokens.get(token)

    def start(self, back: str) -> str:
        return "/login"

    def routes(self) -> APIRouter:
        return APIRouter()


def board(room: Room, prefix: str = "/services/board/") -> Board:
    return Board(
        room=room, watch=Watch(room=room), actions=Actions(room), login=Tokens(), secret=b"secret", prefix=prefix
    )


def client(made: Board) -> TestClient:
    return TestClient(create_app(made), base_url=f"http://board{made.prefix}api/v1/")


def headers(who: str) -> dict[str, str]:
    return {"Authorization": f"token {who}"}
