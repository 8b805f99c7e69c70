"""The version of the tables, and what is said of a database that a newer labctl has written."""

from __future__ import annotations

from labctl.errors import EngineError

VERSION = 4


class Outdated(Exception):
    """The tables are older than this labctl: opening them for writing brings them up to date."""


def check(found: int) -> None:
    """Raises EngineError for a version that this labctl does not know."""
    if found > VERSION:
        raise EngineError(
            f"the database has schema version {found}; this labctl knows {VERSION}",
            "upgrade labctl, or point LABCTL_HOME at another folder",
        )
