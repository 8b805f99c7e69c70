"""The board as an ASGI application."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles

from labctl.hub.board import problems
from labctl.hub.board.base import Board
from labctl.hub.board.guard import Guard

STATIC = Path(__file__).with_name("static")


def create_app(board: Board) -> FastAPI:
    """The pages, what they need, and the API, all below the board's prefix."""
    app = FastAPI(title="labctl board", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.board = board
    app.add_middleware(Guard, cached=f"{board.prefix}static/")
    problems.install(app, _error_page)
    app.include_router(board.login.routes(), prefix=board.prefix.rstrip("/"), include_in_schema=False)
    app.mount(f"{board.prefix}static", StaticFiles(directory=STATIC), name="static")
    return app


def _error_page(_request: Request, status: int, what: str, hint: str) -> Response:
    return PlainTextResponse(f"{what}\n{hint}", status)
