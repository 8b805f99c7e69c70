"""The logs of a session's containers, as the engine keeps them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from labctl.images.engine import engine_errors
from labctl.runtimes.docker.session import Session

_MAX_LINE_BYTES = 256 * 1024


def lines(session: Session, part: str, *, follow: bool, since_s: float | None) -> Iterator[str]:
    """Lines, oldest first; with `follow`, until the container ends. None for a container that is gone."""
    session.refresh()
    seen = session.container(part)
    if seen is None:
        return
    more: dict[str, Any] = {"since": time.time() - since_s} if since_s is not None else {}
    rest = b""
    with engine_errors():
        for chunk in session.client.api.logs(seen.id, stream=True, follow=follow, **more):
            *whole, rest = (rest + chunk).split(b"\n")
            if len(rest) > _MAX_LINE_BYTES:  # a program that never ends its line must not fill our memory
                whole, rest = [*whole, rest], b""
            yield from (line.decode(errors="replace").rstrip("\r") for line in whole)
    if rest:
        yield rest.decode(errors="replace")
