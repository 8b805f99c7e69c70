"""Who may have what: what a page and the API ask for before they answer."""

from __future__ import annotations

from fastapi import Request

from labctl.errors import LabctlError
from labctl.hub.board.base import board_of
from labctl.hub.board.viewer import Viewer


class LoginWanted(LabctlError):
    """Nobody is logged in, or no longer."""


class Forbidden(LabctlError):
    """It is somebody else's."""


async def page_viewer(request: Request) -> Viewer:
    """Whoever has the page's session cookie. Raises LoginWanted."""
    viewer = await board_of(request).login.of_page(request)
    if viewer is None:
        raise LoginWanted("nobody is logged in", "log in")
    return viewer


async def api_viewer(request: Request) -> Viewer:
    """Whoever the token of the `Authorization` header is of; cookies do not count. Raises LoginWanted."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    viewer = None
    if kind.lower() in ("token", "bearer") and token.strip():
        viewer = await board_of(request).login.of_token(token.strip())
    if viewer is None:
        raise LoginWanted("the request has no valid token", "send a token of the Hub: `Authorization: token …`")
    return viewer


def check_instructor(viewer: Viewer) -> None:
    """Raises Forbidden for anybody but an instructor."""
    if not viewer.instructor:
        raise Forbidden("this is for instructors", "ask your instructor")


def check_may_see(viewer: Viewer, learner: str) -> None:
    """Raises Forbidden where it is another learner's; whether there is such a learner is not told."""
    if not viewer.may_see(learner):
        raise Forbidden("this is somebody else's", "your own labs are on the first page")
