"""Who may have what: what a page and the API ask for before they answer."""

from __future__ import annotations

import hmac
import math
from typing import Annotated

from fastapi import Depends, Form, HTTPException, Request

from labctl.errors import LabctlError
from labctl.hub.board.base import board_of
from labctl.hub.board.guard import Pace, form_token
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
    check_pace(board_of(request).pages, viewer)
    return viewer


async def form_viewer(request: Request, csrf: Annotated[str, Form()] = "") -> Viewer:
    """Whoever sends a form of ours, made for them. Raises LoginWanted, Forbidden for a form that another site has made."""
    viewer = await page_viewer(request)
    if not hmac.compare_digest(csrf.encode(), form_token(board_of(request).secret, viewer.name).encode()):
        raise Forbidden("this form is not from this page, or too old", "go back, load the page again, and send it then")
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise Forbidden("this form comes from another site", "use the buttons of the board")
    check_pace(board_of(request).forms, viewer)
    return viewer


PageViewer = Annotated[Viewer, Depends(page_viewer)]
FormViewer = Annotated[Viewer, Depends(form_viewer)]


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


def check_pace(pace: Pace, viewer: Viewer) -> None:
    """Raises HTTPException 429, with when to ask again, for who asks too often."""
    wait_s = pace.wait_s(viewer.name)
    if wait_s:
        raise HTTPException(429, headers={"Retry-After": str(math.ceil(wait_s))})
