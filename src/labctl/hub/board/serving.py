"""Serving the board over HTTP."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from labctl.errors import PreflightError

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType

    from fastapi import FastAPI

    from labctl.sessions.context import Context

HERE = "127.0.0.1"
GRACE_S = 3
"""So long has an answer to end when the board does."""
KEPT_S = 3600
"""So long is a connection kept that nobody uses: the Hub's proxy keeps its own, and what it sends in the moment in which the
board closes one is lost (503)."""


def serve(app: FastAPI, listening: socket.socket) -> None:
    """Answer what comes to the socket until a signal ends it; then streams end first, which would never end by themselves."""
    import uvicorn

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            app.state.board.watch.close()
            super().handle_exit(sig, frame)

    config = uvicorn.Config(
        app,
        log_level="warning",
        proxy_headers=True,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=KEPT_S,
    )
    Server(config).run(sockets=[listening])


def listen(host: str, port: int) -> socket.socket:
    """A socket on which connections are taken; any free port for 0. Raises PreflightError."""
    try:
        return socket.create_server((host, port))
    except (OSError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise PreflightError(f"{host}:{port} cannot be listened on: {why}", "choose another: --port") from error


def serve_here(ctx: Context, cohort: Path, port: int, tell: Callable[[str], None]) -> None:
    """Serve the board of a cohort to this host alone, without a Hub. `tell` is given the link that lets the instructor in.

    Raises LabFileError, PreflightError.
    """
    from labctl.hub.board.actions import Actions
    from labctl.hub.board.app import create_app
    from labctl.hub.board.base import Board
    from labctl.hub.board.link_login import LinkLogin
    from labctl.hub.board.room import open_room
    from labctl.hub.board.watch import Watch

    room = open_room(ctx, cohort)
    room.people()
    listening, secret = listen(HERE, port), secrets.token_bytes(32)
    chosen = listening.getsockname()[1]
    login = LinkLogin(secret, ctx.settings.learner, chosen)
    board = Board(room=room, watch=Watch(room=room), actions=Actions(room), login=login, secret=secret)
    tell(f"http://{HERE}:{chosen}{login.link}")
    serve(create_app(board), listening)
