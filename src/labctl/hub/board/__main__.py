"""`python -m labctl.hub.board`: the board as a service that the Hub starts and ends."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from labctl.errors import LabctlError, UsageError


def main() -> int:
    """Serve until the Hub ends it. 2 without the Hub's environment."""
    try:
        _serve()
    except LabctlError as error:
        print(f"labctl board: {error.what}\n{error.hint}", file=sys.stderr)  # noqa: T201 a service's log
        return error.exit_code
    return 0


def _serve() -> None:
    from labctl.hub.board.actions import Actions
    from labctl.hub.board.app import create_app
    from labctl.hub.board.base import Board
    from labctl.hub.board.hooks import hooks
    from labctl.hub.board.hub_login import HubLogin, HubPlace
    from labctl.hub.board.room import open_room
    from labctl.hub.board.serving import listen, serve
    from labctl.hub.board.watch import Watch
    from labctl.sessions.context import here

    try:
        cohort, url, hub = (
            os.environ["LABCTL_HUB_COHORT"],
            urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"]),
            HubPlace.of(os.environ),
        )
    except KeyError as error:
        raise UsageError(
            f"{error.args[0]} is not set", "the board is started by JupyterHub: `labctl hub serve COHORT`"
        ) from error
    room = open_room(here(), Path(cohort))
    secret = hashlib.sha256(b"labctl board " + hub.api_token.encode()).digest()
    board = Board(
        room=room,
        watch=Watch(room=room),
        actions=Actions(room),
        login=HubLogin(hub, room, secret),
        secret=secret,
        hooks=hooks(room.file, os.environ),
        prefix=os.environ["JUPYTERHUB_SERVICE_PREFIX"],
        hub_prefix=os.environ.get("JUPYTERHUB_BASE_URL", "/"),
    )
    serve(create_app(board), listen(url.hostname or "127.0.0.1", url.port or 0))


if __name__ == "__main__":
    sys.exit(main())
