"""Logging in without a Hub: whoever holds the link that was printed when the board was started is the instructor."""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from labctl.hub.board.access import Forbidden
from labctl.hub.board.base import board_of
from labctl.hub.board.signed import opened, sign
from labctl.hub.board.viewer import Viewer

LASTS_S = 12 * 3600


class LinkLogin:
    """The link is good for one browser, which stays logged in for half a day or until the board ends. No token is good."""

    def __init__(self, secret: bytes, name: str, port: int, clock: Callable[[], float] = time.time) -> None:
        self._secret, self._clock = secret, clock
        self._viewer = Viewer(name=name, instructor=True)
        self._cookie = f"labctl-board-{port}"  # browsers do not tell ports apart
        self._key = secrets.token_urlsafe(32)

    @property
    def link(self) -> str:
        """The path to open first, with the key that lets in."""
        return f"/enter?key={self._key}"

    async def of_page(self, request: Request) -> Viewer | None:
        text = request.cookies.get(self._cookie, "")
        return self._viewer if opened(self._secret, "link", text, self._clock()) is not None else None

    async def of_token(self, _token: str) -> Viewer | None:
        return None

    def start(self, _back: str) -> str:
        return "/enter"

    def routes(self) -> APIRouter:
        router = APIRouter()
        router.add_api_route("/enter", self._enter, methods=["GET"])
        router.add_api_route("/logout", self._leave, methods=["GET"])
        return router

    async def _enter(self, request: Request, key: str = "") -> Response:
        if not hmac.compare_digest(key.encode(), self._key.encode()):
            raise Forbidden(
                "this board is opened by a link, which is good for one browser",
                "start `labctl cohort board` again, and open the link that it prints",
            )
        self._key = secrets.token_urlsafe(32)
        answer = RedirectResponse(board_of(request).prefix, 302)
        value = sign(self._secret, "link", {}, self._clock() + LASTS_S)
        answer.set_cookie(self._cookie, value, max_age=LASTS_S, httponly=True, samesite="lax")
        return answer

    async def _leave(self) -> Response:
        answer = RedirectResponse("/enter", 302)
        answer.delete_cookie(self._cookie)
        return answer
