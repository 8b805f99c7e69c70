"""The API as an OpenAPI document, and its place in the board."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse, Response

from labctl.hub.board.api import answers, reads, writes

PATH = "api/v1"
VERSION = "1"
TITLE = "The board of a labctl class"
_DESCRIPTION = (
    "What the board shows and does, for platforms. Every request carries a token of the Hub: `Authorization: token …`. "
    "Learners see and verify their own work; everything else is for instructors. What takes long is answered with 202 and "
    "a line of the log to ask for. docs/board-api.md has the rest."
)
_ERRORS = {
    400: "The body cannot be read.",
    401: "There is no token, or it is not valid here.",
    403: "It is somebody else's, or for instructors.",
    404: "There is no such thing.",
    409: "It cannot be done now, or the key was used for something else.",
    413: "The body is too large.",
    422: "The request makes no sense as it is.",
    429: "Too often; `Retry-After` says when to ask again.",
    503: "The Hub or the engine does not answer.",
}
_OUTLINE: dict[int | str, dict[str, Any]] = {
    status: {"model": answers.Failure, "description": words} for status, words in _ERRORS.items()
}


def router() -> APIRouter:
    """Every path of the API, below the board's prefix."""
    found = APIRouter(prefix=f"/{PATH}", responses=_OUTLINE, generate_unique_id_function=lambda route: route.name)
    found.include_router(reads.router)
    found.include_router(writes.router)
    return found


def install(app: FastAPI, prefix: str) -> None:
    """Serve the API, and its document at `api/v1/openapi.json`, which needs no token."""
    app.include_router(router(), prefix=prefix.rstrip("/"))

    def document() -> Response:
        return JSONResponse(openapi(prefix))

    app.add_api_route(f"{prefix}{PATH}/openapi.json", document, include_in_schema=False)


def openapi(prefix: str = "/") -> dict[str, Any]:
    """The document of an API that is served below `prefix`. Pure."""
    app = FastAPI(title=TITLE, version=VERSION, description=_DESCRIPTION)
    app.include_router(router())
    made = app.openapi()
    made["servers"] = [{"url": prefix.rstrip("/") or "/"}]
    made.setdefault("components", {})["securitySchemes"] = {
        "token": {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`token` and a token of the Hub",
        }
    }
    made["security"] = [{"token": []}]
    return made
