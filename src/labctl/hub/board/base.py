"""What every part of the board is handed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import Request

    from labctl.hub.board.login import Login
    from labctl.hub.board.room import Room


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A room, who may enter, and where it is served: `prefix` is the path of the board, `hub_prefix` that of the Hub's
    pages, empty without a Hub; both end with a slash. `secret` signs cookies and forms."""

    room: Room
    login: Login
    secret: bytes
    prefix: str = "/"
    hub_prefix: str = ""


def board_of(request: Request) -> Board:
    """The board that the request has come to."""
    board: Board = request.app.state.board
    return board
