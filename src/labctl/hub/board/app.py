"""The board as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles

from labctl.hub.board import forms, pages, problems, streaming
from labctl.hub.board.api import document
from labctl.hub.board.base import Board
from labctl.hub.board.guard import Guard
from labctl.hub.board.posting import Post
from labctl.hub.board.render import STATIC, page


def create_app(board: Board) -> FastAPI:
    """The pages, what they need, and the API, all below the board's prefix."""
    app = FastAPI(title="labctl board", docs_url=None, redoc_url=None, openapi_url=None, lifespan=_life)
    app.state.board = board
    app.add_middleware(Guard, cached=f"{board.prefix}static/")
    problems.install(app, _error_page)
    prefix = board.prefix.rstrip("/")
    app.include_router(board.login.routes(), prefix=prefix, include_in_schema=False)
    for part in (streaming, forms, pages):  # a path that is spelt out comes before one with names in it
        app.include_router(part.router, prefix=prefix)
    document.install(app, board.prefix)
    app.mount(f"{board.prefix}static", StaticFiles(directory=STATIC), name="static")
    return app


@asynccontextmanager
async def _life(app: FastAPI) -> AsyncIterator[None]:
    """What a board that died has left undone is done; what is under way when this one ends, the next one does."""
    board: Board = app.state.board
    board.actions.resume()
    post = Post(board.room, board.hooks)
    post.start()
    yield
    post.close()
    board.actions.close()


def _error_page(request: Request, status: int, what: str, hint: str) -> Response:
    """Of htmx a part of the page, of others a page."""
    name = "problem_part.html" if request.headers.get("hx-request") else "problem.html"
    return page(request, name, None, status, number=status, what=what, hint=hint)
