"""What is answered when something is refused or goes wrong: a page for people, `{"error": …}` below `api/`."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from labctl.errors import EngineError, LabctlError, LabFileError, NotFoundError, PreflightError, UsageError
from labctl.hub.board.access import Forbidden, LoginWanted
from labctl.hub.board.actions import TooOften
from labctl.hub.board.base import board_of

if TYPE_CHECKING:
    from collections.abc import Callable

    Page = Callable[[Request, int, str, str], Response]

STATUS: tuple[tuple[type[LabctlError], int, str], ...] = (
    (LoginWanted, 401, "login_wanted"),
    (Forbidden, 403, "forbidden"),
    (TooOften, 429, "too_often"),
    (NotFoundError, 404, "not_found"),
    (UsageError, 422, "wrong_request"),
    (PreflightError, 409, "refused"),
    (LabFileError, 500, "wrong_file"),
    (EngineError, 503, "engine_unavailable"),
)
_WORDS = {404: "there is no such page", 405: "this is not done like that", 429: "too many requests"}
log = logging.getLogger("labctl.board")


def install(app: FastAPI, page: Page) -> None:
    """Answer every error of `app`; `page` makes one for people of a status, what happened and a hint."""

    async def known(request: Request, error: Exception) -> Response:
        assert isinstance(error, LabctlError)
        status, code = status_of(error)
        if isinstance(error, LoginWanted) and not _is_api(request):
            return _to_login(request)
        answer = _answer(request, page, status, code, error.what, error.hint)
        if isinstance(error, TooOften):
            answer.headers["Retry-After"] = str(math.ceil(error.wait_s))
        return answer

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        what = _WORDS.get(error.status_code, str(error.detail))
        answer = _answer(request, page, error.status_code, f"http_{error.status_code}", what, "")
        answer.headers.update(error.headers or {})
        return answer

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return _answer(request, page, 422, "wrong_request", _first(error), "look at the fields and what they accept")

    async def unknown(request: Request, error: Exception) -> Response:
        log.error("%s %s", request.method, request.url.path, exc_info=error)
        return _answer(request, page, 500, "internal", "something went wrong here", "it is in the board's log")

    app.add_exception_handler(LabctlError, known)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, unknown)


def status_of(error: LabctlError) -> tuple[int, str]:
    """The HTTP status and the code of an error.

    >>> status_of(NotFoundError("no such lab"))
    (404, 'not_found')
    """
    return next(((status, code) for kind, status, code in STATUS if isinstance(error, kind)), (500, "internal"))


def body(code: str, message: str, hint: str = "") -> dict[str, Any]:
    """An error as the API tells it."""
    return {"error": {"code": code, "message": message, "hint": hint}}


def _answer(request: Request, page: Page, status: int, code: str, what: str, hint: str) -> Response:
    if _is_api(request):
        return JSONResponse(body(code, what, hint), status)
    return page(request, status, what, hint)


def _is_api(request: Request) -> bool:
    return request.url.path.startswith(f"{board_of(request).prefix}api/")


def _to_login(request: Request) -> Response:
    """A page goes to the login and back; a form's part that htmx asks for is told to send its whole page there."""
    board = board_of(request)
    if request.headers.get("hx-request"):
        return Response(status_code=401, headers={"HX-Redirect": board.login.start(board.prefix)})
    if request.method != "GET" or request.headers.get("accept", "").startswith("text/event-stream"):
        return Response("log in again", status_code=401, media_type="text/plain")
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(board.login.start(back), 302)


def _first(error: RequestValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
