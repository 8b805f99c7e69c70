"""What every part of the board is handed."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from labctl.hub.board.guard import Pace

if TYPE_CHECKING:
    from fastapi import Request

    from labctl.hub.board.actions import Actions
    from labctl.hub.board.hooks import Hook
    from labctl.hub.board.login import Login
    from labctl.hub.board.room import Room
    from labctl.hub.board.watch import Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A room, who watches it, what can be done in it, who may enter, who is told elsewhere (`hooks`), and where it is
    served: `prefix` is the path of the board, `hub_prefix` the one above the Hub's and the users' pages, empty without a
    Hub; both end with a slash.

    `secret` signs cookies and forms; `run` tells one run of the board from the next. `pages`, `forms` and `api` are how
    often somebody may ask.
    """

    room: Room
    watch: Watch
    actions: Actions
    login: Login
    secret: bytes
    prefix: str = "/"
    hub_prefix: str = ""
    run: str = field(default_factory=lambda: secrets.token_hex(4))
    pages: Pace = field(default_factory=lambda: Pace(300, 60.0))
    forms: Pace = field(default_factory=lambda: Pace(60, 60.0))
    api: Pace = field(default_factory=lambda: Pace(600, 60.0))
    streams: dict[str, int] = field(default_factory=dict)
    hooks: tuple[Hook, ...] = ()


def board_of(request: Request) -> Board:
    """The board that the request has come to."""
    board: Board = request.app.state.board
    return board
