"""Where is posted to what happens in a class."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from labctl.checks.base import Model, NonEmpty

Event = Literal["verified", "expired", "failed"]
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def _address(url: str) -> str:
    """Raises ValueError for an address over which names of learners would travel in the open, or that cannot be one."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isprintable() or " " in url:
        raise ValueError(f"{url!r} is no address; write it like https://grades.example.org/labctl")
    if parts.username or parts.fragment:
        raise ValueError("an address without a user name and without a part after #")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ValueError(
            f"{parts.hostname} is another host, to which only https is spoken: names of learners are posted"
        )
    return url


class Webhook(Model):
    """An address to which is posted what happens in the class, while its board is served."""

    url: Annotated[str, Field(max_length=2000), AfterValidator(_address)]
    """https, or http to this host."""
    secret_file: NonEmpty
    """A file, relative to this one, with 16 characters or more that its owner alone can read: what is posted is signed with it."""
    events: Annotated[list[Event], Field(min_length=1)] = ["verified", "expired", "failed"]
    """`verified`: there is a report. `expired`: a session's time is over. `failed`: a session did not become what it should."""
