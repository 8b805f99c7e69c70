"""One more socket of the Hub's own server, in a folder that containers can be given: those of a session reach nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tornado.netutil import bind_unix_socket

from labctl.notebook import SOCKET

_opened: set[Path] = set()


def open_door(server: Any, folder: Path) -> None:
    """Have the Hub's HTTP server listen in `folder` too, whose path must be below the current folder where it is long.

    Opening it twice does nothing. Whoever may enter the folder may connect: the folder above is its owner's alone.
    """
    if server is None or folder in _opened:
        return
    folder.mkdir(mode=0o755, exist_ok=True)
    near = Path(os.path.relpath(folder / SOCKET))  # a socket's path has at most 107 bytes
    server.add_socket(bind_unix_socket(str(near), mode=0o666))
    _opened.add(folder)
