"""How the board knows who asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from fastapi import APIRouter, Request

    from labctl.hub.board.viewer import Viewer


class Login(Protocol):
    """`of_page` is asked for pages and forms (the session cookie), `of_token` for the API; both answer None for nobody."""

    async def of_page(self, request: Request) -> Viewer | None: ...

    async def of_token(self, token: str) -> Viewer | None: ...

    def start(self, back: str) -> str:
        """Where a browser goes to log in and come back to the path `back`."""

    def routes(self) -> APIRouter:
        """What logging in needs of paths of its own."""
